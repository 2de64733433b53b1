// What strangers get from `fathom plan page`: requests that are wrong, large or slow.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "base/temporary_directory.h"
#include "e2e/process.h"

namespace fathom::test {
namespace {

class PlanServer : public testing::Test {
 protected:
  void SetUp() override {
    server_ = std::make_unique<Process>(directory_.path(),
                                        std::vector<std::string>{"plan", "page", "--port", "0"});
    port_ = server_->AwaitPort();
    ASSERT_NE(port_, 0) << server_->Err();
  }

  // A connection that has sent `text`.
  int Connect(const std::string& text) const {
    const int connection = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port_);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    for (size_t sent = 0; sent < text.size();) {
      const ssize_t n = send(connection, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) break;  // refused before all of it was sent
      sent += static_cast<size_t>(n);
    }
    return connection;
  }
  // Everything that comes until the server closes.
  static std::string Rest(int connection) {
    std::string text;
    char piece[4096];
    for (ssize_t n; (n = read(connection, piece, sizeof(piece))) > 0;) {
      text.append(piece, static_cast<size_t>(n));
    }
    close(connection);
    return text;
  }
  std::string Post(const std::string& body, const std::string& headers = "") const {
    return Rest(
        Connect("POST /plan HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                "Content-Type: application/json\r\n" +
                headers + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body));
  }
  static nlohmann::json BodyOf(const std::string& answer) {
    return nlohmann::json::parse(answer.substr(answer.find("\r\n\r\n") + 4));
  }

  TemporaryDirectory directory_;
  std::unique_ptr<Process> server_;
  uint16_t port_ = 0;
};

TEST_F(PlanServer, WrongScenariosNameTheirField) {
  struct Row {
    const char* body;
    const char* field;
  };
  for (const Row& row :
       {Row{R"({"command": "train", "options": {"devices": -8}})", "devices"},
        Row{R"({"command": "train", "options": {"devices": 2047}})", "devices"},
        Row{R"({"command": "train", "options": {"tp": 3}})", "tp"},
        Row{R"({"command": "train", "options": {"ep": 48}})", "ep"},
        Row{R"({"command": "train", "options": {"pp": 61}})", "pp"},
        Row{R"({"command": "train", "options": {"tokens": "nan"}})", "tokens"},
        Row{R"({"command": "train", "options": {"tokens": 1e999}})", ""},
        Row{R"({"command": "serve", "options": {"on": "h900"}})", "on"},
        Row{R"({"command": "serve", "options": {"speed": 5000}})", "speed"},
        Row{R"({"command": "serve", "options": {"kv-heads": 7}})", "kv-heads"},
        Row{R"({"command": "serve", "options": {"demand": "1,2"}})", "demand"},
        Row{R"({"command": "price", "options": {"on": "b200"}})", "device-price"},
        Row{R"({"command": "fleet", "options": {"inventory": "h80=1"}})", "inventory"},
        Row{R"({"command": "fleet", "options": {"day": "2025-02-30"}})", "day"},
        Row{R"({"command": "serve", "options": {"money": "/etc/passwd"}})", "money"},
        Row{R"({"command": "serve", "options": {"model": "/etc/passwd"}})", "model"},
        Row{R"({"command": "serve", "options": {"model": "{"}})", ""},
        Row{R"({"command": "nothing"})", "command"},
        Row{R"({"options": {}})", ""},
        Row{"[]", ""},
        Row{"", ""},
        Row{"\xff\xfe", ""}}) {
    const std::string answer = Post(row.body);
    EXPECT_EQ(answer.rfind("HTTP/1.1 400", 0), 0u) << row.body << "\n" << answer;
    const auto error = BodyOf(answer)["error"];
    EXPECT_FALSE(error["message"].get<std::string>().empty()) << row.body;
    if (*row.field != '\0') {
      EXPECT_EQ(error.value("field", ""), row.field) << row.body << answer;
    }
  }
  // A deep one neither crashes nor hangs, and the server still answers.
  const std::string deep = Post(std::string(60000, '['));
  EXPECT_EQ(deep.rfind("HTTP/1.1 400", 0), 0u);
  const std::string good = Post(R"({"command": "price", "options": {"samples": 0}})");
  EXPECT_EQ(good.rfind("HTTP/1.1 200", 0), 0u);
  EXPECT_EQ(BodyOf(good)["format"], "fathom-plan");
}

TEST_F(PlanServer, RefusesWhatIsTooLargeOrForeign) {
  EXPECT_EQ(Post(std::string(200'000, ' ')).rfind("HTTP/1.1 413", 0), 0u);
  EXPECT_EQ(Rest(Connect("POST /plan HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                         "Content-Length: 99999999999999\r\n\r\n"))
                .rfind("HTTP/1.1 4", 0),
            0u);
  EXPECT_EQ(Rest(Connect("POST /plan HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                         "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}"))
                .rfind("HTTP/1.1 415", 0),
            0u);
  EXPECT_NE(Rest(Connect("POST /plan HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n"
                         "Content-Length: 0\r\n\r\n"))
                .rfind("HTTP/1.1 200", 0),
            0u);
  EXPECT_EQ(Rest(Connect("GET /options?" + std::string(40000, 'x') + " HTTP/1.1\r\n\r\n"))
                .rfind("HTTP/1.1 4", 0),
            0u);
}

// Clients that send half a request and wait hold nobody up.
TEST_F(PlanServer, SlowClientsHoldNobodyUp) {
  std::vector<int> slow;
  for (int i = 0; i < 50; ++i) {
    slow.push_back(
        Connect("POST /plan HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"));
  }
  EXPECT_EQ(Post(R"({"command": "price", "options": {"samples": 0}})").rfind("HTTP/1.1 200", 0),
            0u);
  for (const int connection : slow) close(connection);
  EXPECT_FALSE(server_->Ended());
}

}  // namespace
}  // namespace fathom::test
