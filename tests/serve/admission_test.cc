// Estimates by hand: an engine that takes a second for a step of at most a hundred tokens.

#include "serve/openai/admission.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "infer/stub_executor.h"
#include "serve/accounts/access_error.h"

namespace fathom {
namespace {

using std::chrono::seconds;

class AdmissionTest : public testing::Test {
 protected:
  static constexpr int64_t kRunning = 4;

  // Steps of an engine, with what the service would tell.
  void Run(Engine& engine, int steps = 1) {
    for (int i = 0; i < steps; ++i) {
      admission_.OnStep(engine);
      const std::vector<EngineEvent> events = engine.Step();
      now_ += seconds(1);
      for (const EngineEvent& event : events) {
        admission_.OnToken(event, {});
        if (event.finish != FinishReason::kNone) admission_.OnEnd(event.usage, "length", {});
      }
      admission_.OnStep(engine);
    }
  }
  // 100 tokens a second of prompts, 4 bytes a token.
  void Measure() {
    Engine engine(executor_, {.step_tokens = 100, .max_running = kRunning});
    engine.AddRequest({.prompt = std::vector<int32_t>(300, 1), .max_tokens = 1});
    Run(engine, 3);
  }
  // Whether it would be taken; what a refused one may try again after.
  bool Takes(int64_t key, uint64_t bytes) {
    try {
      admission_.Admit(key, bytes);
      return true;
    } catch (const AccessError& error) {
      EXPECT_EQ(error.reason(), AccessError::Reason::kOverloaded);
      retry_ = error.retry_seconds();
      return false;
    }
  }

  test::StubExecutor executor_{512, 4};
  Admission::Clock::time_point now_{};
  // Refuses what would take longer than 7 seconds: 80 % of its objective.
  Admission admission_{
      {.objective = std::chrono::duration<double>(7 / 0.8), .max_running = kRunning},
      [this] { return now_; }};
  int64_t retry_ = 0;
};

TEST_F(AdmissionTest, AsManyAsRunUntilSomethingIsMeasured) {
  std::vector<std::shared_ptr<Admission::Place>> places;
  for (int i = 0; i < kRunning; ++i) places.push_back(admission_.Admit(0, 1 << 20));
  EXPECT_FALSE(Takes(0, 4));
  places.pop_back();
  EXPECT_TRUE(Takes(0, 4));
}

TEST_F(AdmissionTest, RefusesWhatWouldTakeLongerThanTheObjective) {
  Measure();
  const auto first = admission_.Admit(0, 400 * 4);  // 4 s
  EXPECT_TRUE(Takes(0, 290 * 4));
  EXPECT_FALSE(Takes(0, 310 * 4));
  EXPECT_FALSE(Takes(0, 700 * 4));
  EXPECT_EQ(retry_, 4);  // 11 s instead of 7
  // It turns out to be shorter than its body was.
  first->Set(100, 1);
  EXPECT_TRUE(Takes(0, 310 * 4));
}

TEST_F(AdmissionTest, WhatIsLongByItselfIsTakenWhenNobodyWaits) {
  Measure();
  EXPECT_TRUE(Takes(0, 100'000 * 4));
  const auto first = admission_.Admit(0, 100'000 * 4);
  EXPECT_FALSE(Takes(0, 4));
}

TEST_F(AdmissionTest, AKeyWaitsForNoMoreThanItsShare) {
  Measure();
  const auto greedy = admission_.Admit(1, 690 * 4);
  EXPECT_FALSE(Takes(1, 100 * 4));
  EXPECT_TRUE(Takes(2, 100 * 4));   // two keys: 2 s
  EXPECT_FALSE(Takes(2, 400 * 4));  // 8 s
  const auto second = admission_.Admit(2, 300 * 4);
  EXPECT_TRUE(Takes(3, 200 * 4));   // three keys: 6 s
  EXPECT_FALSE(Takes(3, 240 * 4));  // 7.2 s
}

TEST_F(AdmissionTest, WaitsForAnswersToEndWhenAllPlacesAreTaken) {
  Measure();
  Engine engine(executor_, {.step_tokens = 100, .max_running = kRunning});
  // Four answers at a time, of two tokens: four end in two steps.
  for (int i = 0; i < 8; ++i) {
    engine.AddRequest({.prompt = {i}, .max_tokens = i < 4 ? 2 : 1000});
  }
  Run(engine, 6);
  std::vector<std::shared_ptr<Admission::Place>> places;
  size_t taken = 0;
  while (taken < 100 && Takes(0, 4)) {
    places.push_back(admission_.Admit(0, 4));
    ++taken;
  }
  // In the four steps that began with all places taken, 4 ended, in the first: weighted by
  // e^(-age / 10 s), 2.96 in 3.47 s, or 0.855 a second. Five have ended within 5.8 s, six in 7.02.
  EXPECT_EQ(taken, 5U);
}

TEST_F(AdmissionTest, LearnsHowWrongItWas) {
  Measure();
  // What is estimated to take 3 s takes 6 s.
  for (int i = 0; i < 200; ++i) {
    const auto first = admission_.Admit(0, 200 * 4);
    const auto second = admission_.Admit(0, 100 * 4);
    now_ += seconds(6);
    second->Begin();
  }
  const auto first = admission_.Admit(0, 200 * 4);
  EXPECT_TRUE(Takes(0, 110 * 4));   // 3.1 s, or 6.2 s
  EXPECT_FALSE(Takes(0, 180 * 4));  // 3.8 s, or 7.6 s
}

// What one request in fifty waits twice as long for is what all are admitted by; a minute later it
// is forgotten.
TEST_F(AdmissionTest, TheSlowestOfAHundredCount) {
  Measure();
  for (int i = 0; i < 200; ++i) {
    const auto first = admission_.Admit(0, 50 * 4);
    const auto second = admission_.Admit(0, 150 * 4);  // 2 s
    now_ += std::chrono::milliseconds(i % 50 == 0 ? 4000 : 200);
    second->Begin();
  }
  const auto first = admission_.Admit(0, 200 * 4);
  EXPECT_TRUE(Takes(0, 140 * 4));   // 3.4 s, or 6.8 s
  EXPECT_FALSE(Takes(0, 160 * 4));  // 3.6 s, or 7.2 s
  now_ += std::chrono::seconds(61);
  EXPECT_TRUE(Takes(0, 490 * 4));
}

TEST_F(AdmissionTest, WithoutAnObjectiveNothingIsRefused) {
  Measure();
  admission_.SetObjective(seconds(0));
  const auto first = admission_.Admit(0, 1 << 30);
  EXPECT_TRUE(Takes(0, 1 << 30));
}

}  // namespace
}  // namespace fathom
