#include "posttrain/verifier/sandbox.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "posttrain/verifier/confinement.h"

namespace fathom {
namespace {

constexpr rlim_t kOpenFiles = 256;
constexpr int kLastCapability = 63;
// What the child says when it could not do what it was told; else its descriptor closes by exec.
constexpr char kNoFilter = 'f', kNoWriteRules = 'w', kNoLimits = 'l', kNoExec = 'x';

struct Pipe {
  int read = -1, write = -1;

  Pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
      throw Error("verifier", fmt::format("cannot have a pipe: {}", std::strerror(errno)));
    }
    read = ends[0];
    write = ends[1];
  }
  ~Pipe() {
    CloseRead();
    CloseWrite();
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  void CloseRead() { CloseEnd(read); }
  void CloseWrite() { CloseEnd(write); }
  int TakeRead() { return std::exchange(read, -1); }
  int TakeWrite() { return std::exchange(write, -1); }

 private:
  static void CloseEnd(int& end) {
    if (end >= 0) close(end);
    end = -1;
  }
};

// Harmless ones; no keys, tokens or proxies.
std::vector<std::string> Environment(const std::filesystem::path& directory) {
  std::vector<std::string> environment = {"TMPDIR=" + directory.string(),
                                          "HOME=" + directory.string()};
  for (const char* name : {"PATH", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "VIRTUAL_ENV"}) {
    if (const char* value = getenv(name)) environment.push_back(fmt::format("{}={}", name, value));
  }
  return environment;
}

// All that the child needs, made before it exists: it must not allocate.
struct Preparation {
  std::array<const char*, 4> arguments;
  std::vector<char*> environment;
  std::vector<sock_filter> filter;
  int write_rules;
  SandboxLimits limits;
  bool in_namespaces;
  int input, output, errors, wait, wake, report;
  pid_t parent;
};

bool Limit(int what, rlim_t most) {
  const rlimit limit = {most, most};
  return setrlimit(static_cast<__rlimit_resource>(what), &limit) == 0;
}

[[noreturn]] void Give(const Preparation& p, char what) {
  [[maybe_unused]] const ssize_t written = write(p.report, &what, 1);
  _exit(127);
}

// The child's side: from its first step to exec. Only what is safe in a copy of a process that had
// threads.
[[noreturn]] void Become(Preparation& p) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setpgid(0, 0);
  // The parent writes the maps of users first; or it dies.
  close(p.wake);
  char go = 0;
  if (read(p.wait, &go, 1) != 1) _exit(127);
  if (!p.in_namespaces && getppid() != p.parent) _exit(127);
  dup2(p.input, STDIN_FILENO);
  dup2(p.output, STDOUT_FILENO);
  dup2(p.errors, STDERR_FILENO);
  // Everything else closes with exec.
  if (syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) != 0) Give(p, kNoLimits);
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) sigaction(signal, &action, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  if (!Limit(RLIMIT_AS, p.limits.memory_bytes) || !Limit(RLIMIT_FSIZE, p.limits.file_bytes) ||
      !Limit(RLIMIT_NPROC, p.limits.processes) || !Limit(RLIMIT_NOFILE, kOpenFiles) ||
      !Limit(RLIMIT_CORE, 0)) {
    Give(p, kNoLimits);
  }
  // Whoever is root in a namespace has no power there either.
  for (int capability = 0; capability <= kLastCapability; ++capability) {
    prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) Give(p, kNoFilter);
  if (p.write_rules >= 0 && !ApplyWriteRules(p.write_rules)) Give(p, kNoWriteRules);
  if (!ApplyFilter(p.filter)) Give(p, kNoFilter);
  execve(p.arguments[0], const_cast<char* const*>(p.arguments.data()), p.environment.data());
  Give(p, kNoExec);
}

// A copy of this process; in namespaces of its own, unless the kernel refuses (-1).
pid_t Fork(unsigned long flags) {
  return static_cast<pid_t>(syscall(SYS_clone, flags | static_cast<unsigned long>(SIGCHLD), nullptr,
                                    nullptr, nullptr, 0));
}

bool WriteTo(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text << std::flush;
  return file.good();
}

// The child keeps the user it was.
bool MapUser(pid_t child) {
  const std::string proc = fmt::format("/proc/{}/", child);
  const auto map = [](auto id) { return fmt::format("{} {} 1\n", id, id); };
  return WriteTo(proc + "setgroups", "deny") && WriteTo(proc + "uid_map", map(geteuid())) &&
         WriteTo(proc + "gid_map", map(getegid()));
}

// The processes that the user has now.
uint64_t CountOwnProcesses() {
  uint64_t count = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator entry("/proc", error), end; !error && entry != end;
       entry.increment(error)) {
    struct stat status = {};
    const std::string name = entry->path().filename().string();
    if (name[0] >= '0' && name[0] <= '9' && stat(entry->path().c_str(), &status) == 0 &&
        status.st_uid == geteuid()) {
      ++count;
    }
  }
  return count;
}

std::string Ending(int status) {
  if (WIFEXITED(status)) return fmt::format("exit status {}", WEXITSTATUS(status));
  return fmt::format("signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
}

}  // namespace

SandboxedProcess::SandboxedProcess(const std::string& command, const SandboxLimits& limits) {
  std::string pattern =
      (std::filesystem::temp_directory_path() / "fathom-verifier-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) {
    throw Error("verifier",
                fmt::format("cannot make a directory in {}: {}",
                            std::filesystem::temp_directory_path().string(), std::strerror(errno)));
  }
  directory_ = pattern;
  try {
    Start(command, limits);
  } catch (...) {
    Close();
    throw;
  }
}

SandboxedProcess::~SandboxedProcess() {
  Kill();
  Close();
}

void SandboxedProcess::Start(const std::string& command, const SandboxLimits& limits) {
  std::vector<std::string> environment = Environment(directory_);
  Preparation p{.arguments = {"/bin/sh", "-c", command.c_str(), nullptr},
                .write_rules = MakeWriteRules(directory_.c_str()),
                .limits = limits,
                .parent = getpid()};
  for (std::string& variable : environment) p.environment.push_back(variable.data());
  p.environment.push_back(nullptr);
  writes_confined_ = p.write_rules >= 0;
  Pipe input, output, errors, wait, report;
  p.input = input.read;
  p.output = output.write;
  p.errors = errors.write;
  p.wait = wait.read;
  p.wake = wait.write;
  p.report = report.write;
  pid_t child = -1;
  if (limits.namespaces) {
    p.in_namespaces = true;
    p.filter = RefusedCalls(/*keep_group=*/false);
    child = Fork(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC);
    if (child == 0) Become(p);
    if (child > 0 && !MapUser(child)) {
      kill(child, SIGKILL);
      waitpid(child, nullptr, 0);
      child = -1;
    }
    has_namespaces_ = child > 0;
  }
  if (child < 0) {
    p.in_namespaces = false;
    p.filter = RefusedCalls(/*keep_group=*/true);
    // Without a namespace of users the kernel counts those outside too.
    p.limits.processes += CountOwnProcesses();
    child = Fork(0);
    if (child == 0) Become(p);
  }
  const int fork_error = errno;
  if (p.write_rules >= 0) close(p.write_rules);
  if (child < 0) {
    throw Error("verifier", fmt::format("cannot be started: {}", std::strerror(fork_error)));
  }
  pid_ = child;
  // Whichever of the two comes first: the group exists before anybody is killed by it.
  setpgid(child, child);
  input.CloseRead();
  output.CloseWrite();
  errors.CloseWrite();
  report.CloseWrite();
  input_ = input.TakeWrite();
  output_ = output.TakeRead();
  errors_ = errors.TakeRead();
  for (const int descriptor : {input_, output_, errors_}) {
    fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
  }
  [[maybe_unused]] const ssize_t went = write(wait.write, "g", 1);
  char failure = 0;
  ssize_t count;
  while ((count = read(report.read, &failure, 1)) < 0 && errno == EINTR) {
  }
  if (count == 0) return;
  const char* what = failure == kNoFilter       ? "the kernel cannot cut it off from the network"
                     : failure == kNoWriteRules ? "the kernel cannot confine what it writes"
                     : failure == kNoLimits     ? "its limits cannot be set"
                                                : "/bin/sh cannot be started";
  Kill();
  throw Error("verifier", what, "it runs what a model wrote, so it does not run without");
}

std::string SandboxedProcess::Kill(std::chrono::milliseconds grace) {
  if (pid_ < 0) return "";
  if (grace.count() > 0) {
    const int ending = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
    if (ending >= 0) {
      pollfd wait = {.fd = ending, .events = POLLIN, .revents = 0};
      poll(&wait, 1, static_cast<int>(grace.count()));
      close(ending);
    }
  }
  siginfo_t info = {};
  const bool ended =
      waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
      info.si_pid == pid_;
  // What it has started may live on, so that its group (or namespace) is killed in any case; its
  // number is not another's before it is waited for.
  kill(-pid_, SIGKILL);
  kill(pid_, SIGKILL);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return ended ? Ending(status) : "";
}

void SandboxedProcess::Close() {
  for (int* descriptor : {&input_, &output_, &errors_}) {
    if (*descriptor >= 0) close(*descriptor);
    *descriptor = -1;
  }
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

}  // namespace fathom
