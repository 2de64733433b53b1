#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace fathom {

// What a process that may run a model's code is kept to.
struct SandboxLimits {
  uint64_t memory_bytes = uint64_t{1} << 30;  // of address space, of each process
  uint64_t file_bytes = uint64_t{64} << 20;   // of each file it writes
  uint64_t processes = 64;                    // of its user; not enforced for root
  // Whether to use namespaces where the kernel has them. For tests of what is left without.
  bool namespaces = true;
};

// A command that runs cut off: without a network, without new privileges, with the limits above,
// with an environment of a few harmless variables, and as a whole: when it is killed, so is
// everything it has started. It writes only into a directory of its own, where the kernel has
// Landlock. What is guaranteed on which kernel: docs/security.md.
class SandboxedProcess {
 public:
  // Starts `/bin/sh -c command`. Throws Error when it cannot be started, or not be cut off.
  SandboxedProcess(const std::string& command, const SandboxLimits& limits);
  // Kills it.
  ~SandboxedProcess();
  SandboxedProcess(const SandboxedProcess&) = delete;
  SandboxedProcess& operator=(const SandboxedProcess&) = delete;

  // Pipes, which do not block; -1 once closed.
  int input() const { return input_; }
  int output() const { return output_; }
  int errors() const { return errors_; }

  // Ends it and all it has started; says how it had ended, if by itself ("exit status 3"). grace:
  // of one whose output has ended and that is about to end itself.
  std::string Kill(std::chrono::milliseconds grace = {});

  // Whether it has process and network namespaces of its own, and writes only into its directory.
  bool has_namespaces() const { return has_namespaces_; }
  bool writes_confined() const { return writes_confined_; }
  // TMPDIR and HOME of the process; gone with it.
  const std::filesystem::path& directory() const { return directory_; }

 private:
  void Start(const std::string& command, const SandboxLimits& limits);
  void Close();

  pid_t pid_ = -1;
  int input_ = -1, output_ = -1, errors_ = -1;
  bool has_namespaces_ = false, writes_confined_ = false;
  std::filesystem::path directory_;
};

}  // namespace fathom
