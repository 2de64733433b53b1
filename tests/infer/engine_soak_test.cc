// The engine with a stub for the model under random arrivals, cancels, priorities, users and too
// little memory: no page is lost or owned twice, every request ends, and gets what it gets alone.

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <optional>

#include "base/random.h"
#include "infer/engine.h"
#include "infer/stub_executor.h"

namespace fathom::test {
namespace {

// Steps of the soak; `make test-long` asks for more.
int64_t SoakSteps() {
  const char* text = std::getenv("FATHOM_SOAK_STEPS");
  return text != nullptr ? std::atoll(text) : 100'000;
}

class Soak {
 public:
  explicit Soak(uint64_t seed) : random_(seed) {}

  // One engine with random options, so many steps, and then until nothing is left.
  void Run(int64_t steps) {
    const int64_t page_tokens = std::array{1, 4, 7}[Below(3)];
    executor_.emplace(4 + Below(28), page_tokens, 3 + static_cast<int32_t>(Below(50)));
    engine_.emplace(*executor_, EngineOptions{.step_tokens = 1 + Below(24),
                                              .max_running = 1 + Below(8),
                                              .age_steps = Below(2) == 0 ? 0 : 1 + Below(100),
                                              .draft = std::array{DraftMode::kOn, DraftMode::kAuto,
                                                                  DraftMode::kOff}[Below(3)],
                                              .draft_tokens = 1 + Below(4)});
    const int64_t load = 2 + Below(12);  // an arrival every so many steps
    const int64_t most_waiting = 1 + Below(40);
    // Texts that prompts begin with.
    starts_.clear();
    for (int i = 0; i < 4; ++i) starts_.push_back(RandomTokens(Below(5 * page_tokens)));
    for (int64_t step = 0; step < steps; ++step) {
      if (Below(load) < 2 && static_cast<int64_t>(expected_.size()) < most_waiting) Arrive();
      if (Below(40) == 0 && !expected_.empty()) CancelSomebody();
      Step();
      if (testing::Test::HasFailure()) return;
    }
    // However little fits, one request at a time gets a token at every step.
    int64_t left = 0;
    for (const auto& [id, answer] : expected_) {
      left += static_cast<int64_t>(answer.prompt + answer.tokens.size());
    }
    for (int64_t step = 0; !engine_->idle(); ++step) {
      ASSERT_LT(step, 50 * (left + 1)) << "requests do not end";
      Step();
      if (testing::Test::HasFailure()) return;
    }
    EXPECT_TRUE(expected_.empty());
    EXPECT_EQ(engine_->cache().available(), executor_->pages()) << "pages are lost";
    EXPECT_EQ(executor_->overwritten(), 0);
    totals_.preemptions += engine_->statistics().preemptions;
    totals_.cached_tokens += engine_->statistics().cached_tokens;
    totals_.steps += engine_->statistics().steps;
  }

  const Engine::Statistics& totals() const { return totals_; }
  int64_t finished() const { return finished_; }
  int64_t cancelled() const { return cancelled_; }

 private:
  struct Expected {
    size_t prompt;
    std::vector<int32_t> tokens;
    size_t got = 0;
  };

  int64_t Below(int64_t bound) {
    return static_cast<int64_t>(random_.NextBelow(static_cast<uint64_t>(bound)));
  }
  std::vector<int32_t> RandomTokens(int64_t count) {
    std::vector<int32_t> tokens;
    for (int64_t i = 0; i < count; ++i) {
      tokens.push_back(static_cast<int32_t>(Below(std::min<int64_t>(3, executor_->vocabulary()))));
    }
    return tokens;
  }

  void Arrive() {
    GenerationRequest request;
    request.prompt = starts_[static_cast<size_t>(Below(4))];
    for (const int32_t token : RandomTokens(Below(2 * executor_->page_tokens() + 2))) {
      request.prompt.push_back(token);
    }
    if (request.prompt.empty()) request.prompt.push_back(0);
    request.max_tokens = 1 + Below(20);
    if (Below(3) == 0) request.stop_ids = {static_cast<int32_t>(Below(executor_->vocabulary()))};
    request.priority = static_cast<int>(Below(3));
    request.user = std::array{"a", "b", "c"}[static_cast<size_t>(Below(3))];
    request.cache_salt = Below(4) == 0 ? "other" : "";
    const auto length = static_cast<int64_t>(request.prompt.size()) + request.max_tokens - 1;
    if (engine_->cache().Pages(length) > executor_->pages()) {
      EXPECT_THROW(engine_->AddRequest(request), Error);
      return;
    }
    Expected expected{request.prompt.size(),
                      executor_->Answer(request.prompt, request.max_tokens, request.stop_ids)};
    expected_[engine_->AddRequest(request)] = std::move(expected);
  }

  void CancelSomebody() {
    auto victim = expected_.begin();
    std::advance(victim, Below(static_cast<int64_t>(expected_.size())));
    engine_->Cancel(victim->first);
    expected_.erase(victim);
    ++cancelled_;
  }

  void Step() {
    const bool idle = engine_->idle();
    const int64_t before = engine_->statistics().steps;
    for (const EngineEvent& event : engine_->Step()) {
      const auto found = expected_.find(event.request);
      ASSERT_NE(found, expected_.end()) << "a token of a request that is not there";
      Expected& expected = found->second;
      ASSERT_LT(expected.got, expected.tokens.size());
      ASSERT_EQ(event.token, expected.tokens[expected.got]) << "request " << event.request;
      ++expected.got;
      const bool last = expected.got == expected.tokens.size();
      ASSERT_EQ(last, event.finish != FinishReason::kNone);
      if (last) {
        EXPECT_EQ(event.usage.answer_tokens, static_cast<int64_t>(expected.tokens.size()));
        EXPECT_LT(event.usage.cached_tokens, static_cast<int64_t>(expected.prompt + 1));
        expected_.erase(found);
        ++finished_;
      }
    }
    ASSERT_TRUE(idle || engine_->statistics().steps == before + 1) << "nothing was computed";
    engine_->CheckInvariants();
  }

  RandomStream random_;
  std::optional<StubExecutor> executor_;
  std::optional<Engine> engine_;
  std::vector<std::vector<int32_t>> starts_;
  std::map<int64_t, Expected> expected_;
  Engine::Statistics totals_;
  int64_t finished_ = 0, cancelled_ = 0;
};

TEST(EngineSoak, NothingIsLostAndEverybodyGetsWhatTheyGetAlone) {
  constexpr int64_t kStepsOfAnEngine = 2'000;
  Soak soak(1);
  for (int64_t steps = 0; steps < SoakSteps(); steps += kStepsOfAnEngine) {
    soak.Run(kStepsOfAnEngine);
    ASSERT_FALSE(HasFailure()) << "after " << steps << " steps";
  }
  // The test has met what it is about.
  EXPECT_GT(soak.totals().preemptions, SoakSteps() / 100);
  EXPECT_GT(soak.totals().cached_tokens, SoakSteps() / 10);
  EXPECT_GT(soak.finished(), SoakSteps() / 100);
  EXPECT_GT(soak.cancelled(), SoakSteps() / 1000);
  RecordProperty("preemptions", static_cast<int>(soak.totals().preemptions));
  RecordProperty("finished", static_cast<int>(soak.finished()));
}

}  // namespace
}  // namespace fathom::test
