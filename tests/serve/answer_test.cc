// Answers that come later, or little by little.

#include "serve/http/answer.h"

#include <gtest/gtest.h>

#include <latch>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "serve/client.h"
#include "serve/running_server.h"

namespace fathom {
namespace {

using test::Client;
using test::Get;
using test::Has;
using test::Running;
using test::Status;

// A server whose GET /later gives answers that the test writes.
class Later : public testing::Test {
 protected:
  void Start(WebServerOptions options = {}) {
    WebRouter router;
    router.Add("GET", "/later", [this](const WebRequest&) {
      const std::lock_guard lock(mutex_);
      answer_ = std::make_shared<WebAnswer>();
      asked_.count_down();
      return WebResponse{.later = answer_};
    });
    router.Add("GET", "/hello", [](const WebRequest&) { return WebResponse{.body = "hello"}; });
    running_.emplace(options, std::move(router));
  }
  // The answer of the request that was just sent.
  WebAnswer& Answer() {
    asked_.wait();
    const std::lock_guard lock(mutex_);
    return *answer_;
  }
  static WebResponse Events() { return {.type = "text/event-stream"}; }

  std::mutex mutex_;
  std::shared_ptr<WebAnswer> answer_;
  std::latch asked_{1}, gone_{1};
  std::optional<Running> running_;
};

TEST_F(Later, AWholeAnswerIsLikeAnyOther) {
  Start();
  Client client(running_->port());
  client.Send(Get("/later"));
  Answer().Send({.status = 429, .body = "not now", .headers = {{"Retry-After", "7"}}});
  const std::string answer = client.Receive();
  EXPECT_EQ(Status(answer), 429);
  EXPECT_TRUE(Has(answer, "\r\nRetry-After: 7\r\n"));
  EXPECT_TRUE(answer.ends_with("\r\n\r\nnot now"));
  client.Send(Get("/hello"));
  EXPECT_TRUE(client.Receive().ends_with("hello"));
}

TEST_F(Later, PartsAreSentAsTheyCome) {
  Start();
  Client client(running_->port());
  client.Send(Get("/later"));
  WebAnswer& answer = Answer();
  answer.Begin(Events());
  const std::string head = client.ReceiveUntil("\r\n\r\n");
  EXPECT_EQ(Status(head), 200);
  EXPECT_TRUE(Has(head, "\r\nContent-Type: text/event-stream\r\n"));
  EXPECT_TRUE(Has(head, "\r\nTransfer-Encoding: chunked\r\n"));
  answer.Write("data: one\n\n");
  EXPECT_EQ(client.ReceiveUntil("one\n\n\r\n"), "b\r\ndata: one\n\n\r\n");
  answer.Write("data: two\n\n");
  EXPECT_EQ(client.ReceiveUntil("two\n\n\r\n"), "b\r\ndata: two\n\n\r\n");
  answer.Close();
  EXPECT_EQ(client.ReceiveUntil("0\r\n\r\n"), "0\r\n\r\n");
  client.Send(Get("/hello"));
  EXPECT_TRUE(client.Receive().ends_with("hello"));
}

// HTTP/1.0 has no chunks: the end of the connection is the end of the answer.
TEST_F(Later, AnOldClientGetsItWithoutChunks) {
  Start();
  Client client(running_->port());
  client.Send("GET /later HTTP/1.0\r\nHost: localhost\r\n\r\n");
  WebAnswer& answer = Answer();
  answer.Begin(Events());
  answer.Write("data: one\n\n");
  answer.Close();
  EXPECT_FALSE(Has(client.ReceiveUntil("\r\n\r\n"), "chunked"));
  EXPECT_EQ(client.ReceiveUntil("one\n\n"), "data: one\n\n");
  EXPECT_TRUE(client.Closed());
}

TEST_F(Later, AClientThatLeavesIsNoticed) {
  for (const bool begun : {false, true}) {
    SCOPED_TRACE(begun);
    std::latch asked(1);
    std::shared_ptr<WebAnswer> answer;
    WebRouter router;
    router.Add("GET", "/later", [&](const WebRequest&) {
      answer = std::make_shared<WebAnswer>();
      asked.count_down();
      return WebResponse{.later = answer};
    });
    Running running({}, std::move(router));
    std::latch gone(1);
    {
      Client client(running.port());
      client.Send(Get("/later"));
      asked.wait();
      if (begun) {
        answer->Begin(Events());
        client.ReceiveUntil("\r\n\r\n");
      }
      answer->OnGone([&] { gone.count_down(); });
    }
    gone.wait();
    answer->Write("nobody hears it");
    answer->Close();
  }
}

TEST_F(Later, AClientThatTakesNothingIsGivenUp) {
  Start();
  Client client(running_->port());
  client.Send(Get("/later"));
  WebAnswer& answer = Answer();
  answer.OnGone([&] { gone_.count_down(); });
  answer.Begin(Events());
  // More than the two sockets and the server hold.
  const std::string part(256 << 10, 'x');
  for (int i = 0; i < 256; ++i) answer.Write(part);
  gone_.wait();
}

TEST_F(Later, SilenceIsFilledWithComments) {
  Start({.keep_alive_time = std::chrono::milliseconds(20)});
  Client client(running_->port());
  client.Send(Get("/later"));
  WebAnswer& answer = Answer();
  answer.Begin(Events());
  EXPECT_TRUE(Has(client.ReceiveUntil(": nothing yet\n\n\r\n"), "200 OK"));
  client.ReceiveUntil(": nothing yet\n\n\r\n");
  answer.Write("data: one\n\n");
  answer.Close();
  client.ReceiveUntil("data: one\n\n\r\n0\r\n\r\n");
}

TEST_F(Later, StoppingWaitsForItsEnd) {
  Start();
  Client client(running_->port());
  client.Send(Get("/later"));
  WebAnswer& answer = Answer();
  answer.Begin(Events());
  client.ReceiveUntil("\r\n\r\n");
  running_->server().Stop();
  answer.Write("data: one\n\n");
  client.ReceiveUntil("one\n\n\r\n");
  answer.Close();
  client.ReceiveUntil("0\r\n\r\n");
  running_->Stop();
}

TEST_F(Later, ButNotForEver) {
  Start({.drain_time = std::chrono::milliseconds(50)});
  Client client(running_->port());
  client.Send(Get("/later"));
  Answer().OnGone([&] { gone_.count_down(); });
  running_->Stop();
  gone_.wait();
}

TEST_F(Later, WhatTakesTooLongHasALastWord) {
  Start({.drain_time = std::chrono::milliseconds(50), .drained = [this] {
           Answer().Write("data: the server ends\n\n");
           Answer().Close();
         }});
  Client client(running_->port());
  client.Send(Get("/later"));
  Answer().Begin(Events());
  client.ReceiveUntil("\r\n\r\n");
  running_->server().Stop();
  EXPECT_TRUE(Has(client.ReceiveUntil("\r\n0\r\n\r\n"), "the server ends"));
  running_->Stop();
}

}  // namespace
}  // namespace fathom
