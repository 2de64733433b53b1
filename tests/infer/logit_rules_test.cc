#include "infer/sampling/logit_rules.h"

#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <vector>

#include "infer/sampling/sampler.h"
#include "infer/turn_constraint.h"

namespace fathom::test {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

std::vector<float> Applied(LogitRules& rules, const std::vector<float>& logits,
                           const std::vector<int32_t>& ahead = {}) {
  const auto changed = rules.Apply(logits, ahead);
  return {changed.begin(), changed.end()};
}

TEST(LogitRules, NothingAskedForIsNothingDone) {
  LogitRules rules({}, {}, nullptr);
  rules.Accept(1);
  const std::vector<float> logits = {1, 2, 3};
  EXPECT_EQ(rules.Apply(logits, {}).data(), logits.data());
}

// OpenAI: logit[j] - c[j] frequency - (c[j] > 0) presence, over what was written.
TEST(LogitRules, PenaltiesCountWhatWasWrittenAndNotThePrompt) {
  LogitRules rules({.frequency_penalty = 0.5, .presence_penalty = 0.25}, std::vector<int32_t>{2},
                   nullptr);
  const std::vector<float> logits = {1, -1, 3, 4};
  EXPECT_EQ(Applied(rules, logits), logits);
  rules.Accept(0);
  rules.Accept(1);
  rules.Accept(0);
  EXPECT_EQ(Applied(rules, logits), (std::vector<float>{-0.25, -1.75, 3, 4}));
  // Tokens ahead count while they are ahead.
  EXPECT_EQ(Applied(rules, logits, {3, 0}), (std::vector<float>{-0.75, -1.75, 3, 3.25}));
  EXPECT_EQ(Applied(rules, logits), (std::vector<float>{-0.25, -1.75, 3, 4}));
}

// Keskar et al. (CTRL), as transformers and vLLM have it: the prompt's tokens too, once each.
TEST(LogitRules, RepetitionDividesWhatIsPositiveAndMultipliesWhatIsNot) {
  LogitRules rules({.repetition_penalty = 2}, std::vector<int32_t>{1, 1, 2}, nullptr);
  rules.Accept(0);
  rules.Accept(0);
  EXPECT_EQ(Applied(rules, {4, -4, 2, 8}), (std::vector<float>{2, -8, 1, 8}));
  EXPECT_EQ(Applied(rules, {4, -4, 2, 8}, {3}), (std::vector<float>{2, -8, 1, 4}));
  EXPECT_EQ(Applied(rules, {4, -4, 2, 8}), (std::vector<float>{2, -8, 1, 8}));
}

TEST(LogitRules, BiasComesFirst) {
  LogitRules rules(
      {.presence_penalty = 1, .repetition_penalty = 2, .logit_bias = {{0, 3}, {2, -5}}}, {},
      nullptr);
  rules.Accept(0);
  EXPECT_EQ(Applied(rules, {1, 1, 1}), (std::vector<float>{1, 1, -4}));
}

TEST(LogitRules, AConstraintForbidsTokens) {
  LogitRules rules({}, {}, std::make_shared<TurnConstraint>(128));
  const std::vector<float> logits(130, 1);
  for (size_t before = 0; before < 3; ++before) {
    for (const std::vector<int32_t>& ahead : {std::vector<int32_t>{}, {5, 6}}) {
      const std::vector<float> changed = Applied(rules, logits, ahead);
      for (size_t id = 0; id < changed.size(); ++id) {
        const bool allowed = id % 3 == (before + ahead.size()) % 3 && id < 128;
        EXPECT_EQ(changed[id], allowed ? 1 : kNever) << id;
      }
    }
    rules.Accept(9);
  }
}

TEST(Sampler, DrawsWhatItsConstraintAllows) {
  for (const double temperature : {0.0, 1.0}) {
    Sampler sampler({.temperature = temperature, .top_p = 0.9, .top_k = 3}, 0, {},
                    std::make_shared<TurnConstraint>(100));
    std::vector<float> logits(100, 0);
    logits[2] = 50;
    EXPECT_EQ(sampler.Sample(logits, 1) % 3, 0);
    EXPECT_EQ(sampler.Sample(logits, 2, std::vector<int32_t>{0, 1}), 2);
    sampler.Accept(0);
    EXPECT_EQ(sampler.Sample(logits, 2) % 3, 1);
  }
}

}  // namespace
}  // namespace fathom::test
