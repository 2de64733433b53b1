#include "cli/weighed_process.h"

#include <fcntl.h>
#include <fmt/ranges.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>

#include "base/error.h"

namespace fathom {

Bytes WeighProcess(const std::vector<std::string>& arguments) {
  std::vector<std::string> words = arguments;
  words.insert(words.begin(), "fathom");
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw Error("pipe", std::strerror(errno));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  pid_t child = 0;
  const int error =
      posix_spawn(&child, "/proc/self/exe", &actions, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  std::string text;
  char piece[64];
  for (ssize_t n; error == 0 && (n = read(ends[0], piece, sizeof(piece))) != 0;) {
    if (n > 0) text.append(piece, static_cast<size_t>(n));
    if (n < 0 && errno != EINTR) break;
  }
  close(ends[0]);
  if (error != 0) throw Error("/proc/self/exe", std::strerror(error));
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  int64_t bytes = 0;
  std::from_chars(text.data(), text.data() + text.size(), bytes);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || bytes <= 0) {
    throw Error(fmt::format("fathom {}", fmt::join(arguments, " ")), "has failed");
  }
  return Bytes(static_cast<double>(bytes));
}

}  // namespace fathom
