#include "posttrain/grpo/policy_loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/random.h"

namespace fathom::test {
namespace {

using Values = std::vector<double>;

TEST(GroupAdvantages, AreRewardsOfMeanZeroAndDeviationOne) {
  // Mean 0.25; the population's variance is 3/16.
  const Values advantages = GroupAdvantages(Values{1, 0, 0, 0}, true);
  EXPECT_NEAR(advantages[0], 0.75 / std::sqrt(3.0 / 16), 1e-15);
  EXPECT_NEAR(advantages[1], -0.25 / std::sqrt(3.0 / 16), 1e-15);
  const Values unscaled = GroupAdvantages(Values{1, 0, 0, 0}, false);
  EXPECT_EQ(unscaled, (Values{0.75, -0.25, -0.25, -0.25}));
}

// 0.1 three times has a mean that is not 0.1: no advantage may come of that.
TEST(GroupAdvantages, EqualRewardsTeachNothing) {
  EXPECT_EQ(GroupAdvantages(Values{0.1, 0.1, 0.1}, true), (Values{0, 0, 0}));
  EXPECT_EQ(GroupAdvantages(Values{}, true), Values{});
}

TEST(TokenScale, EveryNormSumsAsItsPaperSays) {
  // Two answers, of 10 and 30 tokens.
  const PolicyLossOptions answer{.norm = LossNorm::kAnswer};
  EXPECT_DOUBLE_EQ(TokenScale(answer, 2, 40, 10), 1.0 / 20);
  EXPECT_DOUBLE_EQ(TokenScale(answer, 2, 40, 30), 1.0 / 60);
  const PolicyLossOptions token{.norm = LossNorm::kToken};
  EXPECT_DOUBLE_EQ(TokenScale(token, 2, 40, 10), 1.0 / 40);
  const PolicyLossOptions constant{.norm = LossNorm::kConstant, .longest = 100};
  EXPECT_DOUBLE_EQ(TokenScale(constant, 2, 40, 30), 1.0 / 200);
  const PolicyLossOptions whole{.ratio = RatioOf::kAnswer};
  EXPECT_DOUBLE_EQ(TokenScale(whole, 2, 40, 30), 1.0 / 2);
}

// On the policy that wrote the answer the ratio is 1: the loss is -A and its gradient -A a token.
TEST(AnswerLoss, OnThePolicyItselfItIsThePolicyGradient) {
  const Values old = {-1, -2, -0.5};
  Values gradient(3);
  const PolicySums sums =
      AnswerLoss({}, {.old_logprobs = old, .advantage = 2}, old, 0.25, gradient);
  EXPECT_DOUBLE_EQ(sums.loss, -0.25 * 2 * 3);
  EXPECT_EQ(gradient, (Values{-0.5, -0.5, -0.5}));
  EXPECT_EQ(sums.ratio, 3);
  EXPECT_EQ(sums.deviation, 0);
  EXPECT_EQ(sums.clipped, 0);
}

TEST(AnswerLoss, TheClipTakesAwayOnlyWhatWouldGoFurther) {
  const PolicyLossOptions options{.clip_low = 0.2, .clip_high = 0.3, .kl = 0};
  // Ratios 1.5 and 0.5.
  const Values old = {0, 0}, now = {std::log(1.5), std::log(0.5)};
  Values gradient(2);
  // A good answer: more of what was made likelier than 1.3 times is not wanted.
  PolicySums sums = AnswerLoss(options, {.old_logprobs = old, .advantage = 1}, now, 1, gradient);
  EXPECT_NEAR(sums.loss, -1.3 - 0.5, 1e-12);
  EXPECT_EQ(gradient[0], 0);
  EXPECT_NEAR(gradient[1], -0.5, 1e-12);
  // A bad one: less of what was made less likely than 0.8 times is not wanted.
  sums = AnswerLoss(options, {.old_logprobs = old, .advantage = -1}, now, 1, gradient);
  EXPECT_NEAR(sums.loss, 1.5 + 0.8, 1e-12);
  EXPECT_NEAR(gradient[0], 1.5, 1e-12);
  EXPECT_EQ(gradient[1], 0);
  EXPECT_EQ(sums.clipped, 1);
  EXPECT_NEAR(sums.deviation, std::log(2), 1e-12);
}

TEST(AnswerLoss, TheDivergenceIsK3AndZeroOnTheReference) {
  const Values old = {-1, -1};
  Values gradient(2);
  PolicySums sums =
      AnswerLoss({.kl = 1}, {.old_logprobs = old, .reference_logprobs = old}, old, 1, gradient);
  EXPECT_EQ(sums.kl, 0);
  EXPECT_EQ(gradient, (Values{0, 0}));
  // pi = 1/4, pi_ref = 1/2: 2 - ln 2 - 1.
  const Values now = {std::log(0.25)}, reference = {std::log(0.5)};
  Values one(1);
  sums = AnswerLoss({.kl = 1}, {.old_logprobs = now, .reference_logprobs = reference}, now, 1, one);
  EXPECT_NEAR(sums.kl, 1 - std::log(2), 1e-12);
  EXPECT_NEAR(one[0], -1, 1e-12);
}

// Over random answers, every norm and both ratios: the gradient is that of the loss.
TEST(AnswerLoss, GradientsAreDifferencesOfTheLoss) {
  RandomStream random(7);
  for (const RatioOf ratio : {RatioOf::kToken, RatioOf::kAnswer}) {
    for (const double advantage : {1.3, -0.7, 0.0}) {
      for (int round = 0; round < 20; ++round) {
        const size_t count = 1 + random.NextBelow(5);
        Values old, now, reference;
        for (size_t t = 0; t < count; ++t) {
          old.push_back(-3 * random.NextUniform());
          now.push_back(old.back() + 0.15 * (random.NextUniform() - 0.5));
          reference.push_back(old.back() + random.NextUniform() - 0.5);
        }
        const PolicyLossOptions options{
            .clip_low = 0.5, .clip_high = 0.9, .kl = 0.3, .ratio = ratio};
        const PolicyAnswer answer{
            .old_logprobs = old, .reference_logprobs = reference, .advantage = advantage};
        Values gradient(count), ignored(count);
        AnswerLoss(options, answer, now, 0.2, gradient);
        for (size_t t = 0; t < count; ++t) {
          constexpr double kStep = 1e-6;
          Values more = now, less = now;
          more[t] += kStep;
          less[t] -= kStep;
          const double difference = (AnswerLoss(options, answer, more, 0.2, ignored).loss -
                                     AnswerLoss(options, answer, less, 0.2, ignored).loss) /
                                    (2 * kStep);
          EXPECT_NEAR(gradient[t], difference, 1e-8);
        }
      }
    }
  }
}

}  // namespace
}  // namespace fathom::test
