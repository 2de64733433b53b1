// The engine on a thread of its own, asked by many.

#include "serve/openai/engine_service.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <latch>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "infer/stub_executor.h"

namespace fathom {
namespace {

// Notes what it is told, and can stop after so many tokens.
class Listener : public EngineClient {
 public:
  explicit Listener(size_t choices, size_t most = SIZE_MAX) : answers_(choices), most_(most) {}

  bool OnEvent(size_t choice, const EngineEvent& event) override {
    const std::lock_guard lock(mutex_);
    answers_[choice].push_back(event.token);
    const bool over = event.finish != FinishReason::kNone || answers_[choice].size() >= most_;
    if (over) ++over_;
    changed_.notify_all();
    return !over;
  }
  void OnRefused(const Error& error, bool queue_full) override {
    const std::lock_guard lock(mutex_);
    refusal_ = error.what();
    queue_full_ = queue_full;
    changed_.notify_all();
  }

  void OnTaken() override { EXPECT_EQ(taken_++, 0); }
  void OnGivenUp() override {
    const std::lock_guard lock(mutex_);
    EXPECT_EQ(given_up_++, 0);
    changed_.notify_all();
  }

  // Until all choices are over, or refused.
  void Wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return over_ == answers_.size() || refusal_; });
  }
  void WaitUntilGivenUp() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return given_up_ > 0; });
  }
  // Until the first token has come.
  void WaitForToken() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !answers_[0].empty(); });
  }
  std::vector<std::vector<int32_t>> answers() {
    const std::lock_guard lock(mutex_);
    return answers_;
  }
  std::optional<std::string> refusal() {
    const std::lock_guard lock(mutex_);
    return refusal_;
  }
  bool queue_full() {
    const std::lock_guard lock(mutex_);
    return queue_full_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::vector<int32_t>> answers_;
  size_t most_, over_ = 0;
  std::optional<std::string> refusal_;
  bool queue_full_ = false;
  int taken_ = 0, given_up_ = 0;
};

GenerationRequest Request(std::vector<int32_t> prompt, int64_t max_tokens) {
  return {.prompt = std::move(prompt), .sampling = {.temperature = 0}, .max_tokens = max_tokens};
}

TEST(EngineService, EveryoneGetsTheirOwnAnswers) {
  test::StubExecutor executor(512, 4);
  Engine engine(executor);
  EngineService service(engine);
  std::vector<std::thread> threads;
  for (int32_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int32_t i = 0; i < 20; ++i) {
        const std::vector<int32_t> first = {t, i, 7}, second = {i, t};
        const auto listener = std::make_shared<Listener>(2);
        service.Submit({Request(first, 9), Request(second, 5)}, listener);
        listener->Wait();
        EXPECT_EQ(listener->answers()[0], executor.Answer(first, 9, {}));
        EXPECT_EQ(listener->answers()[1], executor.Answer(second, 5, {}));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// What the service says of itself when it tells that it has taken something.
class Witness : public Listener {
 public:
  explicit Witness(const EngineService& service) : Listener(2), service_(service) {}
  void OnTaken() override {
    const EngineService::State state = service_.state();
    under_way_ = state.running + state.waiting;
  }
  int64_t under_way() const { return under_way_; }

 private:
  const EngineService& service_;
  int64_t under_way_ = 0;
};

TEST(EngineService, CountsWhatItSaysToHaveTaken) {
  test::StubExecutor executor(512, 4);
  Engine engine(executor);
  EngineService service(engine);
  const auto witness = std::make_shared<Witness>(service);
  service.Submit({Request({1, 2}, 3), Request({3}, 3)}, witness);
  witness->Wait();
  EXPECT_EQ(witness->under_way(), 2);
}

TEST(EngineService, AChoiceEndsWhenItsClientHasEnough) {
  test::StubExecutor executor(512, 4);
  Engine engine(executor);
  EngineService service(engine);
  const auto listener = std::make_shared<Listener>(2, 3);
  service.Submit({Request({1}, 1000), Request({2}, 1000)}, listener);
  listener->Wait();
  EXPECT_EQ(listener->answers()[0], executor.Answer({1}, 3, {}));
  EXPECT_EQ(listener->answers()[1], executor.Answer({2}, 3, {}));
}

// Holds the engine at its first token, until the test lets it go on.
class Holder : public Listener {
 public:
  Holder() : Listener(1) {}
  bool OnEvent(size_t choice, const EngineEvent& event) override {
    if (answers()[0].empty()) {
      begun.count_down();
      go_on.wait();
    }
    return Listener::OnEvent(choice, event);
  }
  std::latch begun{1}, go_on{1};
};

TEST(EngineService, CancellingGivesUpAllChoicesOfATicket) {
  test::StubExecutor executor(1 << 12, 4);
  Engine engine(executor);
  EngineService service(engine);
  const auto holder = std::make_shared<Holder>();
  const auto other = std::make_shared<Listener>(1), last = std::make_shared<Listener>(1);
  const uint64_t ticket = service.Submit({Request({1}, 10000)}, holder);
  service.Submit({Request({2}, 50)}, other);
  holder->begun.wait();
  service.Cancel(ticket);
  service.Submit({Request({3}, 1)}, last);
  holder->go_on.count_down();
  other->Wait();
  EXPECT_EQ(other->answers()[0], executor.Answer({2}, 50, {}));
  // What is asked for after the cancellation is answered after it.
  last->Wait();
  EXPECT_EQ(holder->answers()[0].size(), 1U);
  // The state is told after the step in which the last one ended.
  for (auto state = service.state(); state.running + state.waiting > 0; state = service.state()) {
    std::this_thread::yield();
  }
  service.Cancel(ticket);
  service.Cancel(12345);
}

TEST(EngineService, ARefusalIsOfTheWholeTicket) {
  test::StubExecutor executor(64, 4);
  Engine engine(executor);
  EngineService service(engine);
  const auto listener = std::make_shared<Listener>(2);
  service.Submit({Request({1}, 5), Request({99}, 5)}, listener);  // there is no token 99
  listener->Wait();
  ASSERT_TRUE(listener->refusal());
  EXPECT_NE(listener->refusal()->find("id 99 is outside"), std::string::npos);
  EXPECT_FALSE(listener->queue_full());
  EXPECT_TRUE(listener->answers()[0].empty());
}

TEST(EngineService, AFullQueueIsSaidAsSuch) {
  test::StubExecutor executor(1 << 12, 4);
  Engine engine(executor, {.max_running = 1, .max_waiting = 2});
  EngineService service(engine);
  // What one client asks for at once comes in whole; then there is no room for another.
  const auto first = std::make_shared<Listener>(4), second = std::make_shared<Listener>(1);
  service.Submit({Request({1}, 10000), Request({2}, 1), Request({3}, 1), Request({4}, 1)}, first);
  first->WaitForToken();
  service.Submit({Request({5}, 1)}, second);
  second->Wait();
  EXPECT_FALSE(first->refusal());
  ASSERT_TRUE(second->refusal());
  EXPECT_TRUE(second->queue_full());
}

TEST(EngineService, GivesUpWhatIsUnderWayAndAllThatComes) {
  test::StubExecutor executor(1 << 12, 4);
  Engine engine(executor);
  const auto first = std::make_shared<Listener>(2), second = std::make_shared<Listener>(1);
  EngineService service(engine);
  service.Submit({Request({1}, 10000), Request({2}, 10000)}, first);
  first->WaitForToken();
  service.GiveUp();
  first->WaitUntilGivenUp();
  service.Submit({Request({3}, 1)}, second);
  second->WaitUntilGivenUp();
  EXPECT_TRUE(second->answers()[0].empty());
  EXPECT_EQ(service.state().running, 0);
}

TEST(EngineService, ItCanGoWhileItWorks) {
  test::StubExecutor executor(1 << 12, 4);
  Engine engine(executor);
  const auto listener = std::make_shared<Listener>(1);
  {
    EngineService service(engine);
    service.Submit({Request({1}, 10000)}, listener);
    listener->WaitForToken();
  }
  EXPECT_TRUE(engine.idle());
  engine.CheckInvariants();
}

}  // namespace
}  // namespace fathom
