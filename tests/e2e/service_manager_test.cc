// `fathom serve` under a service manager that speaks systemd's protocol, whose part the test plays.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <csignal>
#include <string>

#include "e2e/serve_fixture.h"

namespace fathom::test {
namespace {

class ServiceManagerTest : public ServeTest {
 protected:
  void SetUp() override {
    listening_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    ASSERT_EQ(bind(listening_, reinterpret_cast<sockaddr*>(&address), size), 0);
    ASSERT_EQ(listen(listening_, 128), 0);
    ASSERT_EQ(getsockname(listening_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    notified_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const timeval patience = {60, 0};
    setsockopt(notified_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = {}};
    const std::string path = NotifyPath();
    ASSERT_LT(path.size(), sizeof(name.sun_path));
    path.copy(name.sun_path, path.size());
    ASSERT_EQ(bind(notified_, reinterpret_cast<sockaddr*>(&name), sizeof(name)), 0);
  }
  void TearDown() override {
    close(listening_);
    close(notified_);
  }

  std::string NotifyPath() const { return (own_ / "notify").string(); }
  // A shell, because only the process itself knows its number.
  void Start(const std::string& more = "") {
    const std::string script = fmt::format(
        "LISTEN_PID=$$ LISTEN_FDS=1 NOTIFY_SOCKET='{}' {} exec '{}' serve '{}' --quiet 3<&{}",
        NotifyPath(), more, FATHOM_BINARY, Path("model"), listening_);
    server_ = std::make_unique<Process>(own_.path(), std::vector<std::string>{"-c", script}, 0,
                                        "/bin/sh");
  }
  // The next thing that the server tells.
  std::string Told() const {
    char bytes[4096];
    const ssize_t size = recv(notified_, bytes, sizeof(bytes), 0);
    return size > 0 ? std::string(bytes, static_cast<size_t>(size)) : "nothing";
  }
  static std::string Question() {
    return Post("/v1/completions",
                json{{"prompt", "class Error"}, {"max_tokens", 4}, {"seed", 1}}.dump());
  }

  int listening_ = -1, notified_ = -1;
};

TEST_F(ServiceManagerTest, RequestsWaitWhileTheServerIsRestarted) {
  Client early(port_);
  early.Send(Question());
  Start();
  EXPECT_TRUE(Has(Told(), "READY=1"));
  const std::string answer = early.Receive();
  ASSERT_EQ(Status(answer), 200) << answer;
  server_->Signal(SIGTERM);
  EXPECT_TRUE(Has(Told(), "STOPPING=1"));
  EXPECT_EQ(server_->Status(), 0) << server_->Err();
  Client between(port_);
  ASSERT_TRUE(between.connected());
  between.Send(Question());
  Start();
  EXPECT_TRUE(Has(Told(), "READY=1"));
  const std::string later = between.Receive();
  ASSERT_EQ(Status(later), 200) << later;
  EXPECT_EQ(json::parse(Body(later))["choices"], json::parse(Body(answer))["choices"]);
}

TEST_F(ServiceManagerTest, TellsAWatchdogThatItIsWell) {
  Start("WATCHDOG_PID=$$ WATCHDOG_USEC=200000");
  std::string told = Told();
  if (!Has(told, "READY=1")) told = Told();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Told(), "WATCHDOG=1");
}

TEST_F(ServiceManagerTest, ASocketForOthersNeedsKeysAsAnAddressDoes) {
  close(listening_);
  listening_ = socket(AF_INET6, SOCK_STREAM, 0);
  ASSERT_EQ(listen(listening_, 16), 0);  // the system chooses a port of all addresses
  Start();
  EXPECT_EQ(server_->Status(), 2);
  EXPECT_TRUE(Has(server_->Err(), "there are no keys")) << server_->Err();
}

}  // namespace
}  // namespace fathom::test
