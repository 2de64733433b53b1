#pragma once

// The binary in a terminal, where somebody types.

#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <vector>

namespace fathom::test {

// A process of FATHOM_BINARY on a pseudo-terminal of its own.
class Terminal {
 public:
  explicit Terminal(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), FATHOM_BINARY);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid_ = forkpty(&terminal_, nullptr, nullptr, nullptr);
    if (pid_ == 0) {
      execv(argv[0], argv.data());
      _exit(127);
    }
  }
  ~Terminal() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      Status();
    }
    close(terminal_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  // Keys as they are pressed: "\x03" is Ctrl-C, "\x04" Ctrl-D.
  void Type(std::string_view keys) const {
    ASSERT_EQ(write(terminal_, keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
  }
  void Signal(int number) const { kill(pid_, number); }
  // Waits until the screen shows `text` after what was awaited before; returns what came up to
  // there. Fails when the process ends, or shows nothing more for a minute.
  std::string Await(std::string_view text) {
    while (screen_.find(text, seen_) == std::string::npos) {
      if (!Receive()) {
        ADD_FAILURE() << "'" << text << "' did not come; the screen:\n" << screen_;
        return {};
      }
    }
    const size_t begin = seen_;
    seen_ = screen_.find(text, seen_) + text.size();
    return screen_.substr(begin, seen_ - begin);
  }
  // Waits for anything at all after what was awaited before.
  void AwaitMore() {
    while (screen_.size() == seen_)
      ASSERT_TRUE(Receive()) << "nothing came; the screen:\n" << screen_;
  }
  // The exit status, once the process has ended; -N when signal N ended it.
  int Status() {
    while (Receive()) {
    }
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

 private:
  // False when nothing more comes.
  bool Receive() {
    constexpr int kMilliseconds = 60'000;
    pollfd wait{terminal_, POLLIN, 0};
    if (poll(&wait, 1, kMilliseconds) != 1) return false;
    char buffer[4096];
    const ssize_t size = read(terminal_, buffer, sizeof(buffer));
    if (size <= 0) return false;
    screen_.append(buffer, static_cast<size_t>(size));
    return true;
  }

  int terminal_ = -1;
  pid_t pid_ = -1;
  std::string screen_;
  size_t seen_ = 0;
};

}  // namespace fathom::test
