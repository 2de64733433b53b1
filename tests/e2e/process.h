#pragma once

// Running the fathom binary.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"

namespace fathom::test {

// A process of FATHOM_BINARY, or of another program, with its output in files of a directory.
class Process {
 public:
  // file_limit: no file grows beyond it (what a full disk looks like to a program); 0: none.
  Process(const std::filesystem::path& directory, std::vector<std::string> arguments,
          rlim_t file_limit = 0, const std::string& program = FATHOM_BINARY)
      : out_(directory / "stdout.txt"), err_(directory / "stderr.txt") {
    arguments.insert(arguments.begin(), program);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    // What another process has left there must not be taken for what this one says.
    std::filesystem::remove(out_);
    std::filesystem::remove(err_);
    pid_ = fork();
    if (pid_ == 0) {
      // Only what is safe between fork and exec.
      const int out = open(out_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
      const int err = open(err_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
      dup2(out, STDOUT_FILENO);
      dup2(err, STDERR_FILENO);
      if (file_limit > 0) {
        const struct rlimit limit = {file_limit, file_limit};
        setrlimit(RLIMIT_FSIZE, &limit);
        signal(SIGXFSZ, SIG_IGN);
      }
      execv(argv[0], argv.data());
      _exit(127);
    }
  }
  ~Process() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      Wait();
    }
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // The port of the address that a server says on stdout; 0 when it ends first.
  uint16_t AwaitPort() {
    for (;;) {
      const bool ended = Ended();
      const std::string out = std::filesystem::exists(out_) ? Out() : "";
      const size_t host = out.find("://");
      if (out.find('\n') != std::string::npos && host != std::string::npos) {
        return static_cast<uint16_t>(std::stoi(out.substr(out.find(':', host + 3) + 1)));
      }
      if (ended) return 0;
      std::this_thread::yield();
    }
  }

  pid_t id() const { return pid_; }
  void Signal(int number) const { kill(pid_, number); }
  // Whether it has ended.
  bool Ended() {
    if (pid_ > 0 && waitpid(pid_, &status_, WNOHANG) == pid_) pid_ = -1;
    return pid_ < 0;
  }
  void Wait() {
    if (pid_ > 0) waitpid(pid_, &status_, 0);
    pid_ = -1;
  }
  // The exit status; -N when signal N ended it.
  int Status() {
    Wait();
    return WIFEXITED(status_) ? WEXITSTATUS(status_) : -WTERMSIG(status_);
  }
  std::string Out() const { return ReadFile(out_); }
  std::string Err() const { return ReadFile(err_); }

 private:
  std::filesystem::path out_, err_;
  pid_t pid_ = -1;
  int status_ = 0;
};

}  // namespace fathom::test
