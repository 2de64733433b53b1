// What endpoints and the network do to a teacher.

#include "posttrain/distill/endpoint_teacher.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/error.h"
#include "hub/fake_hub.h"

namespace fathom::test {
namespace {

using nlohmann::json;

constexpr const char* kKey = "sk-very-secret";

std::string Completion(const std::string& content, const std::string& reasoning = "") {
  json message = {{"role", "assistant"}, {"content", content}};
  if (!reasoning.empty()) message["reasoning_content"] = reasoning;
  return json{{"choices", {{{"index", 0}, {"message", message}, {"finish_reason", "stop"}}}},
              {"usage", {{"prompt_tokens", 7}, {"completion_tokens", 5}}}}
      .dump();
}

class EndpointTest : public testing::Test, public TeacherListener {
 protected:
  using Handler = std::function<void(const json& asked, FakeConnection& connection)>;

  EndpointTest() {
    for (int i = 0; i < 12; ++i) {
      Question question;
      question.messages = {{"user", "question " + std::to_string(i)}};
      question.hash = static_cast<uint64_t>(i);
      questions_.push_back(question);
    }
    for (const Question& question : questions_) jobs_.push_back({&question, 0, 100});
    options_.endpoint = {.model = "r1", .key = kKey};
    options_.endpoint.sampling = {
        .temperature = 0.6, .top_p = 0.95, .max_tokens = 64, .think = "model"};
    options_.pace = {.backoff_seconds = 0.002, .most_backoff_seconds = 0.01};
    options_.at_a_time = 4;
  }

  // Every question is answered by its own text, unless the handler does otherwise first.
  void Answer(Handler handler = {}) {
    hub_.intercept = [this, handler](const FakeRequest& request, FakeConnection& connection) {
      EXPECT_EQ(request.target, "/v1/chat/completions");
      const json asked = json::parse(request.body);
      {
        const std::lock_guard lock(mutex_);
        ++asked_[asked["messages"].back()["content"]];
        ++requests_;
      }
      took_ = false;
      if (handler) handler(asked, connection);
      if (connection.open() && !took_) {
        connection.Answer(
            "200 OK", "Content-Type: application/json\r\n",
            Completion("to " + asked["messages"].back()["content"].get<std::string>()));
      }
      return true;
    };
    options_.endpoint.url = hub_.endpoint() + "/v1/";
  }
  void Run() {
    // What handlers refer to ends with the test.
    struct Settled {
      ~Settled() {
        hub.End();
        hub.Settle();
      }
      FakeHub& hub;
    } settled{hub_};
    MakeEndpointTeacher(options_)->Answer(jobs_, *this);
  }
  // The error that it ends with.
  std::string RunToError() {
    try {
      Run();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }
  // An answer of the handler's own.
  static void Reply(FakeConnection& connection, const std::string& status,
                    const std::string& headers, const std::string& body) {
    connection.Answer(status, headers, body);
    took_ = true;
  }

  void OnAnswer(size_t job, TeacherAnswer answer) override {
    EXPECT_TRUE(answers_.emplace(job, std::move(answer)).second) << "told twice";
  }
  void OnRefused(size_t job, const std::string& why) override { refused_[job] = why; }
  bool GoesOn(int64_t) override { return goes_on_ ? goes_on_() : true; }

  void ExpectAllAnswered() {
    ASSERT_EQ(answers_.size(), jobs_.size());
    for (const auto& [job, answer] : answers_) {
      EXPECT_EQ(answer.content, "to question " + std::to_string(job));
      EXPECT_EQ(answer.finish_reason, "stop");
      EXPECT_EQ(answer.completion_tokens, 5);
    }
    EXPECT_TRUE(refused_.empty());
  }

  // Whether the handler has answered the request that its thread serves.
  static inline thread_local bool took_ = false;
  std::vector<Question> questions_;
  std::vector<TraceJob> jobs_;
  EndpointOptions options_;
  std::map<size_t, TeacherAnswer> answers_;
  std::map<size_t, std::string> refused_;
  std::function<bool()> goes_on_;
  std::mutex mutex_;
  std::map<std::string, int> asked_;
  std::atomic<int> requests_ = 0;
  FakeHub hub_;  // last: it is over before what its handlers use
};

TEST_F(EndpointTest, EveryQuestionIsAskedOnceAndAsTheSettingsSay) {
  options_.endpoint.sampling.top_k = 20;
  options_.endpoint.sampling.think = "on";
  Answer([](const json& asked, FakeConnection&) {
    EXPECT_EQ(asked["model"], "r1");
    EXPECT_EQ(asked["max_tokens"], 64);
    EXPECT_EQ(asked["temperature"], 0.6);
    EXPECT_EQ(asked["top_p"], 0.95);
    EXPECT_EQ(asked["top_k"], 20);
    EXPECT_EQ(asked["seed"], 100);
    EXPECT_EQ(asked["thinking"]["type"], "enabled");
    EXPECT_FALSE(asked.contains("min_p"));
  });
  Run();
  ExpectAllAnswered();
  for (const auto& [question, times] : asked_) EXPECT_EQ(times, 1) << question;
  for (const FakeRequest& request : hub_.requests()) {
    EXPECT_EQ(request.Header("authorization"), std::string("Bearer ") + kKey);
    EXPECT_EQ(request.Header("content-type"), "application/json");
  }
}

TEST_F(EndpointTest, ThoughtsComeUnderAnyOfTheirNames) {
  const std::map<std::string, std::string> replies = {
      {"question 0", Completion("4", "two and two")},
      {"question 1", Completion("<think>\ntwo and two\n</think>\n\n4")},
      {"question 2", Completion("two and two\n</think>\n\n4")},
      {"question 3",
       R"({"choices": [{"message": {"content": "4", "reasoning": "two and two"},
           "finish_reason": "stop"}]})"}};
  jobs_.resize(4);
  Answer([&](const json& asked, FakeConnection& connection) {
    Reply(connection, "200 OK", "", replies.at(asked["messages"][0]["content"]));
  });
  Run();
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(answers_[i].reasoning, "two and two") << i;
    EXPECT_EQ(answers_[i].content, "4") << i;
  }
  // A server that does not count.
  EXPECT_FALSE(answers_[3].completion_tokens.has_value());
}

TEST_F(EndpointTest, ItGoesOnThroughFailuresOfEveryKind) {
  const std::string whole = Completion("4");
  std::atomic<int> number = 0;
  Answer([&](const json&, FakeConnection& connection) {
    switch (number++) {
      case 0:
        return Reply(connection, "500 Internal Server Error", "", "oh");
      case 1:
        return Reply(connection, "503 Service Unavailable", "Retry-After: 0\r\n", "{}");
      case 2:  // dropped before a byte
        return connection.Close();
      case 3:  // dropped in the middle
        connection.Send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(whole.size()) +
                        "\r\n\r\n" + whole.substr(0, whole.size() / 2));
        return connection.Close();
      case 4:
        return Reply(connection, "200 OK", "", "<html>Bad gateway</html>");
      case 5:
        return Reply(connection, "200 OK", "", R"({"choices": []})");
      case 6:
        return Reply(connection, "200 OK", "",
                     R"({"choices": [{"message": {}, "finish_reason": "stop"}]})");
      case 7:
        return Reply(connection, "200 OK", "", std::string(100'000, '['));
      default:
        return;
    }
  });
  options_.give_up_after = 20;
  Run();
  ExpectAllAnswered();
  EXPECT_EQ(requests_, 20);
}

TEST_F(EndpointTest, RetryAfterIsWaitedFor) {
  std::atomic<int> number = 0;
  std::atomic<bool> early = false;
  std::atomic<std::chrono::steady_clock::time_point> limited{};
  options_.at_a_time = 1;
  Answer([&](const json&, FakeConnection& connection) {
    const auto now = std::chrono::steady_clock::now();
    if (number++ == 3) {
      limited = now;
      return Reply(connection, "429 Too Many Requests", "Retry-After: 1\r\n",
                   R"({"error": {"message": "slow down"}})");
    }
    if (number > 4 && now - limited.load() < std::chrono::milliseconds(990)) early = true;
  });
  Run();
  ExpectAllAnswered();
  EXPECT_FALSE(early);
}

TEST_F(EndpointTest, AnEndpointThatIsAwayIsGivenUpInAClearWord) {
  std::atomic<int> number = 0;
  Answer([&](const json&, FakeConnection& connection) {
    if (number++ >= 5)
      Reply(connection, "502 Bad Gateway", "", R"({"error": {"message": "no upstream"}})");
  });
  options_.at_a_time = 1;
  options_.give_up_after = 4;
  const std::string error = RunToError();
  EXPECT_NE(error.find("4 failures in a row, the last one: HTTP status 502: no upstream"),
            std::string::npos)
      << error;
  // What came before has been told.
  EXPECT_EQ(answers_.size(), 5u);
  EXPECT_EQ(requests_, 9);
}

TEST_F(EndpointTest, NobodyListens) {
  Answer();
  options_.endpoint.url = "http://127.0.0.1:1/v1";
  options_.give_up_after = 3;
  const std::string error = RunToError();
  EXPECT_NE(error.find("http://127.0.0.1:1/v1: 3 failures in a row"), std::string::npos) << error;
}

TEST_F(EndpointTest, WhatNoTryWillChangeStopsAtOnce) {
  for (const char* status : {"401 Unauthorized", "402 Payment Required", "403 Forbidden",
                             "404 Not Found", "301 Moved Permanently"}) {
    hub_.Settle();
    requests_ = 0;
    Answer([&](const json&, FakeConnection& connection) {
      // Some servers repeat what they were sent.
      Reply(
          connection, status, "",
          json{{"error", {{"message", std::string("the key ") + kKey + " is\nnot known"}}}}.dump());
    });
    options_.at_a_time = 1;
    const std::string error = RunToError();
    EXPECT_NE(error.find(std::string("HTTP status ") + std::string(status).substr(0, 3)),
              std::string::npos)
        << error;
    EXPECT_NE(error.find("the key *** is not known"), std::string::npos) << error;
    EXPECT_EQ(error.find(kKey), std::string::npos) << error;
    EXPECT_EQ(requests_, 1) << status;
  }
}

TEST_F(EndpointTest, AQuestionThatIsRefusedDoesNotHoldUpTheOthers) {
  Answer([](const json& asked, FakeConnection& connection) {
    if (asked["messages"][0]["content"] == "question 3")
      Reply(connection, "400 Bad Request", "", R"({"error": {"message": "too long"}})");
  });
  Run();
  EXPECT_EQ(answers_.size(), 11u);
  EXPECT_EQ(refused_, (std::map<size_t, std::string>{{3, "HTTP status 400: too long"}}));
  EXPECT_EQ(asked_["question 3"], 1);
}

TEST_F(EndpointTest, AQuestionThatBreaksTheServerIsLeftOutInTheEnd) {
  Answer([](const json& asked, FakeConnection& connection) {
    if (asked["messages"][0]["content"] == "question 3")
      Reply(connection, "500 Internal Server Error", "", "boom");
  });
  options_.attempts = 3;
  Run();
  EXPECT_EQ(answers_.size(), 11u);
  EXPECT_EQ(refused_[3], "3 tries, the last with HTTP status 500: boom");
  EXPECT_EQ(asked_["question 3"], 3);
}

TEST_F(EndpointTest, WhenAllIsRefusedTheSettingsAreWrong) {
  Answer([](const json&, FakeConnection& connection) {
    Reply(connection, "400 Bad Request", "", R"({"error": {"message": "no parameter top_p"}})");
  });
  options_.give_up_after = 5;
  options_.at_a_time = 1;
  const std::string error = RunToError();
  EXPECT_NE(error.find("5 requests in a row were refused, the last with HTTP status 400: no "
                       "parameter top_p"),
            std::string::npos)
      << error;
  EXPECT_EQ(requests_, 5);
}

TEST_F(EndpointTest, AWaitOfHoursIsNotWaited) {
  Answer([](const json&, FakeConnection& connection) {
    Reply(connection, "429 Too Many Requests", "Retry-After: 40000\r\n",
          R"({"error": "your quota is used up"})");
  });
  const std::string error = RunToError();
  EXPECT_NE(error.find("your quota is used up; it wants to be left alone for 11 h"),
            std::string::npos)
      << error;
}

TEST_F(EndpointTest, AnAnswerThatNeverComesTimesOut) {
  std::atomic<int> number = 0;
  Answer([&](const json&, FakeConnection& connection) {
    if (number++ != 0) return;
    took_ = true;
    hub_.WaitForEnd();
    connection.Close();
  });
  options_.timeout_seconds = 1;
  Run();
  ExpectAllAnswered();
  EXPECT_EQ(requests_, 13);
}

TEST_F(EndpointTest, NoMoreRequestsAreUnderWayThanAllowed) {
  std::atomic<int> now = 0, most = 0;
  Answer([&](const json&, FakeConnection&) {
    const int here = ++now;
    int seen = most;
    while (here > seen && !most.compare_exchange_weak(seen, here)) {
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    --now;
  });
  options_.at_a_time = 3;
  Run();
  ExpectAllAnswered();
  EXPECT_LE(most, 3);
  EXPECT_GE(most, 2);
}

TEST_F(EndpointTest, WhatIsUnderWayAtTheEndIsStillTaken) {
  std::atomic<bool> over = false;
  // The first is answered at once, all others after the end.
  Answer([&](const json& asked, FakeConnection&) {
    if (asked["messages"].back()["content"] == "question 0") return;
    while (!over) std::this_thread::yield();
  });
  goes_on_ = [&] { return !(over = !answers_.empty()); };
  options_.at_a_time = 2;
  Run();
  EXPECT_GE(answers_.size(), 2u);
  EXPECT_LT(answers_.size(), jobs_.size());
  EXPECT_EQ(static_cast<int>(answers_.size()), requests_);
}

TEST_F(EndpointTest, AKeyDoesNotLeaveThisMachineOverPlainHttp) {
  Answer();
  options_.endpoint.url = "http://192.0.2.1/v1";
  const std::string error = RunToError();
  EXPECT_NE(error.find("the key would be sent without encryption"), std::string::npos) << error;
}

TEST_F(EndpointTest, AnswersAreBounded) {
  std::atomic<int> number = 0;
  Answer([&](const json&, FakeConnection& connection) {
    if (number++ != 0) return;
    took_ = true;
    connection.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    const std::string block(1 << 20, 'x');
    for (int i = 0; i < 64 && connection.open(); ++i) {
      connection.Send("100000\r\n");
      connection.Send(block);
      connection.Send("\r\n");
    }
    EXPECT_FALSE(connection.open()) << "all of it was taken";
    connection.Close();
  });
  Run();
  ExpectAllAnswered();
}

TEST(HostOf, IsTheAddressAlone) {
  EXPECT_EQ(HostOf("https://api.example.com/v1"), "api.example.com");
  EXPECT_EQ(HostOf("http://127.0.0.1:8080"), "127.0.0.1:8080");
  EXPECT_EQ(HostOf(""), "");
}

}  // namespace
}  // namespace fathom::test
