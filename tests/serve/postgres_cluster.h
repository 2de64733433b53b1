#pragma once

// A PostgreSQL server of a test's own, with a database for every test.

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "base/temporary_directory.h"

namespace fathom::test {

// Its data are in a temporary directory, it listens on a socket there and asks for a password. What
// fails throws, so that a test ends with the reason.
class PostgresCluster {
 public:
  // One for a process, started when it is first wanted, from the main thread: it ends with the
  // thread that has started it.
  static PostgresCluster& Shared() {
    static PostgresCluster cluster;
    return cluster;
  }

  PostgresCluster() : binaries_(FindBinaries()), user_(FindUser()) {
    Give(directory_.path());
    WriteFileAtomically(directory_ / "password", std::string(kPassword) + "\n");
    Give(directory_ / "password");
    Run({"initdb", "-D", Data(), "-U", "fathom", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C",
         "--no-sync", "--pwfile", (directory_ / "password").string()});
    Start();
  }
  ~PostgresCluster() { Stop(); }
  PostgresCluster(const PostgresCluster&) = delete;
  PostgresCluster& operator=(const PostgresCluster&) = delete;

  static constexpr const char* kPassword = "hush:hush@42";

  // The address of a new one, with the password.
  std::string NewDatabase() {
    const std::string name = fmt::format("ledger{}", ++databases_);
    Sql("postgres", "CREATE DATABASE " + name);
    return Address("fathom:hush%3Ahush%4042", name);
  }
  // user: "name" or "name:password".
  std::string Address(const std::string& user, const std::string& database) const {
    std::string host;
    for (const char c : directory_.path().string())
      host += c == '/' ? std::string("%2F") : std::string{c};
    return fmt::format("postgresql://{}@{}/{}", user, host, database);
  }
  // What it listens on.
  std::string Socket() const { return (directory_ / ".s.PGSQL.5432").string(); }
  static std::string DatabaseOf(const std::string& address) {
    return address.substr(address.rfind('/') + 1);
  }
  // What a statement answers: columns with '|' between them, a line for each row.
  std::string Sql(const std::string& database, const std::string& statement) {
    return Run({"psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h",
                directory_.path().string(), "-U", "fathom", "-d", database, "-c", statement});
  }

  // At once, as a crash ends it; what was committed is there after the next start.
  void Stop() {
    if (server_ <= 0) return;
    kill(server_, SIGQUIT);
    waitpid(server_, nullptr, 0);
    server_ = -1;
  }
  void Start() {
    server_ = Spawn({"postgres", "-D", Data(), "-k", directory_.path().string(), "-c",
                     "listen_addresses=", "-c", "max_connections=60", "-c", "shared_buffers=16MB"},
                    directory_ / "server.txt");
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (Wait(Spawn({"pg_isready", "-q", "-h", directory_.path().string()}, "/dev/null")) != 0) {
      if (waitpid(server_, nullptr, WNOHANG) != 0 || std::chrono::steady_clock::now() > end) {
        throw std::runtime_error("PostgreSQL does not start:\n" +
                                 ReadFile(directory_ / "server.txt"));
      }
    }
  }

 private:
  static std::filesystem::path FindBinaries() {
    std::filesystem::path found;
    std::error_code ignored;
    for (const auto& version :
         std::filesystem::directory_iterator("/usr/lib/postgresql", ignored)) {
      if (std::filesystem::exists(version.path() / "bin" / "initdb"))
        found = version.path() / "bin";
    }
    if (!found.empty()) return found;
    throw std::runtime_error(
        "PostgreSQL's server is not installed: scripts/install-packages.sh test");
  }
  // The server refuses to be root.
  static const passwd* FindUser() {
    if (geteuid() != 0) return nullptr;
    const passwd* user = getpwnam("postgres");
    return user != nullptr ? user : getpwnam("nobody");
  }
  std::string Data() const { return (directory_ / "data").string(); }
  void Give(const std::filesystem::path& path) const {
    if (user_ != nullptr && chown(path.c_str(), user_->pw_uid, user_->pw_gid) != 0) {
      throw std::runtime_error("chown " + path.string());
    }
  }
  // Its output goes to a file.
  pid_t Spawn(std::vector<std::string> arguments, const std::filesystem::path& output) const {
    arguments[0] = (binaries_ / arguments[0]).string();
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const std::string password = std::string("PGPASSWORD=") + kPassword;
    char* environment[] = {const_cast<char*>(password.c_str()), const_cast<char*>("LC_ALL=C"),
                           nullptr};
    const pid_t id = fork();
    if (id != 0) return id;
    // Only what is safe between fork and exec.
    const int out = open(output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    const bool changed =
        user_ == nullptr ||
        (setgroups(0, nullptr) == 0 && setgid(user_->pw_gid) == 0 && setuid(user_->pw_uid) == 0);
    prctl(PR_SET_PDEATHSIG, SIGQUIT);
    if (changed && chdir(directory_.path().c_str()) == 0) execve(argv[0], argv.data(), environment);
    _exit(127);
  }
  static int Wait(pid_t id) {
    int status = -1;
    waitpid(id, &status, 0);
    return status;
  }
  std::string Run(const std::vector<std::string>& arguments) const {
    const std::filesystem::path output = directory_ / "output.txt";
    const int status = Wait(Spawn(arguments, output));
    const std::string said = ReadFile(output);
    if (status != 0) throw std::runtime_error(arguments[0] + ": " + said);
    return said;
  }

  const std::filesystem::path binaries_;
  const passwd* const user_;  // null: this one
  const TemporaryDirectory directory_;
  pid_t server_ = -1;
  int databases_ = 0;
};

}  // namespace fathom::test
