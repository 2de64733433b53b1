#include <gtest/gtest.h>

#include <latch>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "base/error.h"
#include "serve/client.h"
#include "serve/http/server.h"
#include "serve/running_server.h"

namespace fathom {
namespace {

using test::Client;
using test::Get;
using test::Has;
using test::Post;
using test::Status;

WebRouter Routes() {
  WebRouter router;
  router.Add("GET", "/hello", [](const WebRequest& request) {
    return WebResponse{.body = "hello " + request.query,
                       .headers = {{"X-Given", std::string(request.Header("x-GIVEN"))}}};
  });
  router.Add("POST", "/echo",
             [](const WebRequest& request) { return WebResponse{.body = request.body}; });
  router.Add("GET", "/throws", [](const WebRequest&) -> WebResponse {
    throw std::runtime_error("a secret of the server");
  });
  return router;
}

// A server with these.
class Running : public test::Running {
 public:
  explicit Running(const WebServerOptions& options = {}, WebRouter router = Routes())
      : test::Running(options, std::move(router)) {}
};

TEST(WebServer, AnswersOneRequestAfterAnotherOnAConnection) {
  Running running;
  Client client(running.port());
  client.Send(Get("/hello?you", "X-Given: this\r\n"));
  const std::string answer = client.Receive();
  EXPECT_EQ(Status(answer), 200);
  EXPECT_TRUE(Has(answer, "\r\nX-Given: this\r\n"));
  EXPECT_TRUE(Has(answer, "\r\n\r\nhello you"));
  // Two at once, and one in pieces that are not lines.
  client.Send(Post("/echo", "first") + Post("/echo", "second"));
  EXPECT_TRUE(Has(client.Receive(), "\r\n\r\nfirst"));
  EXPECT_TRUE(Has(client.Receive(), "\r\n\r\nsecond"));
  for (const char c : Post("/echo", "third")) client.Send(std::string_view(&c, 1));
  EXPECT_TRUE(Has(client.Receive(), "\r\n\r\nthird"));
}

TEST(WebServer, ClosesWhenTheClientWantsIt) {
  Running running;
  Client client(running.port());
  client.Send(Get("/hello", "Connection: close\r\n"));
  EXPECT_TRUE(Has(client.Receive(), "\r\n\r\nhello "));
  EXPECT_TRUE(client.Closed());
}

TEST(WebServer, SaysWhatAnAddressTakes) {
  Running running;
  Client client(running.port());
  client.Send(Get("/nothing"));
  EXPECT_EQ(Status(client.Receive()), 404);
  client.Send(Post("/hello", ""));
  const std::string refused = client.Receive();
  EXPECT_EQ(Status(refused), 405);
  EXPECT_TRUE(Has(refused, "\r\nAllow: GET, HEAD\r\n"));
  client.Send("HEAD /hello HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const std::string head = client.Receive(/*has_body=*/false);
  EXPECT_TRUE(Has(head, "\r\nContent-Length: 6\r\n"));
  client.Send(Get("/hello"));  // the connection still speaks HTTP: HEAD had no body
  EXPECT_EQ(Status(client.Receive()), 200);
}

TEST(WebServer, KeepsWhatAHandlerThrowsToItself) {
  Running running;
  Client client(running.port());
  client.Send(Get("/throws"));
  const std::string answer = client.Receive();
  EXPECT_EQ(Status(answer), 500);
  EXPECT_FALSE(Has(answer, "secret"));
}

TEST(WebServer, RefusesWhatIsTooLong) {
  Running running({.header_bytes = 1000, .body_bytes = 100});
  const auto answer_to = [&](const std::string& request) {
    Client client(running.port());
    client.Send(request);
    std::string answer = client.Receive();
    EXPECT_TRUE(client.Closed());
    return answer;
  };
  EXPECT_EQ(Status(answer_to(Get("/hello", "X-Given: " + std::string(2000, 'x') + "\r\n"))), 431);
  EXPECT_EQ(Status(answer_to(Get("/" + std::string(200000, 'x')))), 431);
  EXPECT_EQ(Status(answer_to(Post("/echo", std::string(101, 'x')))), 413);
  // Refused before it comes, and without being asked for.
  EXPECT_EQ(Status(answer_to("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
                             "18446744073709551615\r\nExpect: 100-continue\r\n\r\n")),
            413);
  std::string chunked =
      "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
  Client client(running.port());
  client.Send(chunked + "32\r\n" + std::string(50, 'x') + "\r\n32\r\n" + std::string(50, 'y') +
              "\r\n0\r\n\r\n");
  EXPECT_TRUE(Has(client.Receive(), "\r\n\r\n" + std::string(50, 'x') + std::string(50, 'y')));
  EXPECT_EQ(Status(answer_to(chunked + "32\r\n" + std::string(50, 'x') + "\r\n33\r\n" +
                             std::string(51, 'y') + "\r\n0\r\n\r\n")),
            413);
}

TEST(WebServer, AsksForABodyThatWaitsToBeAskedFor) {
  Running running;
  Client client(running.port());
  client.Send(
      "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nExpect: "
      "100-continue\r\n\r\n");
  EXPECT_EQ(Status(client.Receive()), 100);
  client.Send("body");
  EXPECT_TRUE(Has(client.Receive(), "\r\n\r\nbody"));
}

TEST(WebServer, RefusesWhatIsNotHttp) {
  Running running;
  for (const char* bytes :
       {"hello?\r\n\r\n", "GET\r\n\r\n", "GET /hello HTTP/9.9\r\n\r\n", "\x16\x03\x01\x02\x00\x01",
        "GET /hello HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n",
        "GET /hello HTTP/1.1\r\nHost : localhost\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"}) {
    Client client(running.port());
    client.Send(bytes);
    EXPECT_EQ(Status(client.Receive()), 400) << bytes;
    EXPECT_TRUE(client.Closed()) << bytes;
  }
}

TEST(WebServer, OnThisMachineAnswersOnlyWhatNamesIt) {
  Running running;
  Client client(running.port());
  for (const char* host : {"attacker.example", "localhost.attacker.example", "", "[::2]:80"}) {
    client.Send("GET /hello HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n");
    EXPECT_EQ(Status(client.Receive()), 421) << host;
  }
  for (const char* host : {"localhost", "localhost:8090", "127.0.0.1:1", "[::1]:80"}) {
    client.Send("GET /hello HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n");
    EXPECT_EQ(Status(client.Receive()), 200) << host;
  }
}

// A page of another site can have a browser send a request without asking.
TEST(WebServer, AnswersNoPagesOfOtherSites) {
  Running running;
  Client client(running.port());
  const auto status = [&](const std::string& host, const std::string& origin) {
    client.Send("GET /hello HTTP/1.1\r\nHost: " + host + "\r\nOrigin: " + origin + "\r\n\r\n");
    return Status(client.Receive());
  };
  for (const char* origin :
       {"https://attacker.example", "null", "http://localhost:81", "localhost"})
    EXPECT_EQ(status("localhost:80", origin), 403) << origin;
  EXPECT_EQ(status("localhost:80", "http://localhost:80"), 200);
  EXPECT_EQ(status("localhost", "https://localhost"), 200);
}

// A key is what lets in, then, behind a proxy too.
TEST(WebServer, WithKeysAnswersWhateverItIsCalled) {
  Running running({.is_open = [] { return false; }});
  Client client(running.port());
  client.Send("GET /hello HTTP/1.1\r\nHost: llm.example.com\r\nOrigin: https://a.example\r\n\r\n");
  EXPECT_EQ(Status(client.Receive()), 200);
}

TEST(WebServer, ClosesWhatIsSlow) {
  using std::chrono::milliseconds;
  Running running({.idle_time = milliseconds(50),
                   .header_time = milliseconds(50),
                   .body_time = milliseconds(50)});
  Client silent(running.port()), header(running.port()), body(running.port());
  header.Send("GET /hello HTTP/1.1\r\nHo");
  body.Send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nno");
  EXPECT_TRUE(silent.Closed());
  EXPECT_TRUE(header.Closed());
  EXPECT_TRUE(body.Closed());
}

TEST(WebServer, ClosesConnectionsThatAreTooMany) {
  Running running({.connections = 1});
  Client first(running.port());
  first.Send(Get("/hello"));
  EXPECT_EQ(Status(first.Receive()), 200);
  EXPECT_TRUE(Client(running.port()).Closed());
}

TEST(WebServer, ServesManyAtOnce) {
  Running running;
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 200; ++i) clients.push_back(std::make_unique<Client>(running.port()));
  for (int round = 0; round < 3; ++round) {
    // Fewer at once than may wait.
    for (size_t first = 0; first < clients.size(); first += 50) {
      for (size_t i = first; i < first + 50; ++i)
        clients[i]->Send(Post("/echo", std::to_string(i)));
      for (size_t i = first; i < first + 50; ++i) {
        EXPECT_TRUE(Has(clients[i]->Receive(), "\r\n\r\n" + std::to_string(i)));
      }
    }
  }
}

// Routes that want "Bearer me", who is caller 7; the admin is "Bearer root".
WebRouter GuardedRoutes() {
  WebRouter router = Routes();
  router.Add("POST", "/who", [](const WebRequest& request) {
    return WebResponse{.body = std::to_string(request.caller) + request.body};
  });
  router.Add(
      "GET", "/open", [](const WebRequest&) { return WebResponse{}; }, WebAccess::kOpen);
  router.Add(
      "GET", "/admin", [](const WebRequest&) { return WebResponse{}; }, WebAccess::kAdmin);
  router.SetGuard([](WebRequest& head, WebAccess access) -> std::optional<WebResponse> {
    EXPECT_TRUE(head.body.empty());
    const bool root = head.Header("Authorization") == "Bearer root";
    if (access == WebAccess::kOpen || root) return std::nullopt;
    if (access == WebAccess::kAdmin) return WebError(403, "not you");
    if (head.Header("Authorization") != "Bearer me" || head.body_bytes > 1 << 20) {
      return WebError(401, "who?");
    }
    head.caller = 7;
    return std::nullopt;
  });
  return router;
}

std::string PostAs(std::string_view who, size_t bytes) {
  return "POST /who HTTP/1.1\r\nHost: localhost\r\nAuthorization: " + std::string(who) +
         "\r\nContent-Length: " + std::to_string(bytes) + "\r\n\r\n";
}

TEST(WebServer, AGuardSeesTheHeadAndSaysWhoAsks) {
  Running running({}, GuardedRoutes());
  Client client(running.port());
  client.Send(PostAs("Bearer me", 2) + "!?");
  EXPECT_TRUE(Has(client.Receive(), "\r\n\r\n7!?"));
  // After a small body that nobody wants, the connection goes on.
  client.Send(PostAs("Bearer you", 2) + "!?");
  EXPECT_EQ(Status(client.Receive()), 401);
  client.Send(Get("/admin", "Authorization: Bearer me\r\n"));
  EXPECT_EQ(Status(client.Receive()), 403);
  client.Send(Get("/admin", "Authorization: Bearer root\r\n"));
  EXPECT_EQ(Status(client.Receive()), 200);
  client.Send(Get("/open"));
  EXPECT_EQ(Status(client.Receive()), 200);
  // What there is, strangers are not told.
  client.Send(Get("/nothing"));
  EXPECT_EQ(Status(client.Receive()), 401);
}

TEST(WebServer, WhatAGuardRefusesIsNotReadFirst) {
  Running running({.body_bytes = 2 << 20}, GuardedRoutes());
  for (const std::string& request :
       {PostAs("Bearer you", 1 << 20), PostAs("Bearer me", (1 << 20) + 1),
        std::string("POST /who HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
                    "Expect: 100-continue\r\n\r\n"),
        std::string("POST /who HTTP/1.1\r\nHost: localhost\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n")}) {
    Client client(running.port());
    client.Send(request);  // and nothing of the body
    EXPECT_EQ(Status(client.Receive()), 401) << request;
    EXPECT_TRUE(client.Closed());
  }
}

// A handler that waits for the test.
struct Gate {
  std::latch entered{1}, open{1};

  WebRouter Routes() {
    WebRouter router = fathom::Routes();
    router.Add("GET", "/gate", [this](const WebRequest&) {
      entered.count_down();
      open.wait();
      return WebResponse{.body = "through"};
    });
    return router;
  }
};

TEST(WebServer, RefusesWhatWouldWaitTooLong) {
  Gate gate;
  Running running({.workers = 1, .waiting = 0}, gate.Routes());
  Client first(running.port()), second(running.port());
  first.Send(Get("/gate"));
  gate.entered.wait();
  second.Send(Get("/hello"));
  const std::string refused = second.Receive();
  EXPECT_EQ(Status(refused), 503);
  EXPECT_TRUE(Has(refused, "\r\nRetry-After: 1\r\n"));
  gate.open.count_down();
  EXPECT_TRUE(Has(first.Receive(), "through"));
  second.Send(Get("/hello"));
  EXPECT_EQ(Status(second.Receive()), 200);
}

TEST(WebServer, AnswersWhatIsInWorkBeforeItStops) {
  Gate gate;
  Running running({}, gate.Routes());
  Client working(running.port()), idle(running.port());
  idle.Send(Get("/hello"));
  idle.Receive();
  working.Send(Get("/gate"));
  gate.entered.wait();
  running.server().Stop();
  EXPECT_TRUE(idle.Closed());
  EXPECT_FALSE(Client(running.port()).connected());
  gate.open.count_down();
  const std::string answer = working.Receive();
  EXPECT_TRUE(Has(answer, "through"));
  EXPECT_TRUE(Has(answer, "\r\nConnection: close\r\n"));
  EXPECT_TRUE(working.Closed());
  running.Stop();
}

TEST(WebServer, DoesNotWaitForEverToStop) {
  Running running({.drain_time = std::chrono::milliseconds(50)});
  Client half(running.port());
  half.Send(Get("/hello") + "GET /hel");  // in work: a second request has begun
  half.Receive();
  running.Stop();
  EXPECT_TRUE(half.Closed());
}

TEST(WebServer, SaysWhyItCannotListen) {
  Running running;
  EXPECT_THROW(WebServer({.port = running.port()}, {}), Error);
  EXPECT_THROW(WebServer({.host = "nowhere"}, {}), Error);
}

}  // namespace
}  // namespace fathom
