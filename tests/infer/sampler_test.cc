#include "infer/sampling/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "base/error.h"
#include "base/random.h"

namespace fathom::test {
namespace {

constexpr int kDraws = 20'000;

std::vector<float> LogitsOf(const std::vector<double>& probabilities) {
  std::vector<float> logits;
  for (const double p : probabilities) logits.push_back(static_cast<float>(std::log(p) + 3));
  return logits;
}

std::vector<double> Frequencies(const std::vector<float>& logits, const SamplingParams& params,
                                uint64_t choice = 0) {
  Sampler sampler(params, choice);
  std::vector<double> frequencies(logits.size());
  for (int64_t position = 0; position < kDraws; ++position) {
    ++frequencies[static_cast<size_t>(sampler.Sample(logits, position))];
  }
  for (double& frequency : frequencies) frequency /= kDraws;
  return frequencies;
}

// Within five standard deviations of a binomial; exactly 0 where 0 is expected.
void ExpectFrequencies(const std::vector<double>& actual, const std::vector<double>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    const double deviation = std::sqrt(expected[i] * (1 - expected[i]) / kDraws);
    EXPECT_NEAR(actual[i], expected[i], 5 * deviation) << "token " << i;
  }
}

TEST(Sampler, GreedyTakesTheLargestLogitAndOfEqualOnesTheLowestId) {
  Sampler sampler({.temperature = 0}, 0);
  EXPECT_EQ(sampler.Sample(std::vector<float>{1, 5, 2, 5}, 0), 1);
  EXPECT_EQ(sampler.Sample(std::vector<float>{-3, -3, -3}, 9), 0);
}

TEST(Sampler, DrawsWithTheProbabilitiesOfTheModel) {
  const std::vector<double> p = {0.5, 0.25, 0.15, 0.1};
  ExpectFrequencies(Frequencies(LogitsOf(p), {.seed = 1}), p);
}

TEST(Sampler, TemperatureIsAnExponent) {
  // p^(1/2), normalised: 0.8 and 0.2 become 2 : 1.
  ExpectFrequencies(Frequencies(LogitsOf({0.8, 0.2}), {.temperature = 2, .seed = 2}),
                    {2.0 / 3, 1.0 / 3});
  // p^2: 16 : 1.
  ExpectFrequencies(Frequencies(LogitsOf({0.8, 0.2}), {.temperature = 0.5, .seed = 3}),
                    {16.0 / 17, 1.0 / 17});
}

TEST(Sampler, TopKKeepsExactlyK) {
  const auto logits = LogitsOf({0.1, 0.5, 0.15, 0.25});
  ExpectFrequencies(Frequencies(logits, {.top_k = 2, .seed = 4}), {0, 2.0 / 3, 0, 1.0 / 3});
  // Of equal ones the lowest ids.
  ExpectFrequencies(Frequencies(LogitsOf({0.25, 0.25, 0.25, 0.25}), {.top_k = 2, .seed = 5}),
                    {0.5, 0.5, 0, 0});
}

TEST(Sampler, TopPKeepsTheFewestThatReachIt) {
  const auto logits = LogitsOf({0.1, 0.5, 0.15, 0.25});
  ExpectFrequencies(Frequencies(logits, {.top_p = 0.74, .seed = 6}), {0, 2.0 / 3, 0, 1.0 / 3});
  ExpectFrequencies(Frequencies(logits, {.top_p = 0.76, .seed = 7}),
                    {0, 0.5 / 0.9, 0.15 / 0.9, 0.25 / 0.9});
  // The most probable one stays however small top_p is.
  ExpectFrequencies(Frequencies(logits, {.top_p = 1e-9, .seed = 8}), {0, 1, 0, 0});
}

TEST(Sampler, MinPIsRelativeToTheMostProbable) {
  const auto logits = LogitsOf({0.1, 0.5, 0.15, 0.25});
  ExpectFrequencies(Frequencies(logits, {.min_p = 0.4, .seed = 9}), {0, 2.0 / 3, 0, 1.0 / 3});
  ExpectFrequencies(Frequencies(logits, {.min_p = 1, .seed = 9}), {0, 1, 0, 0});
}

TEST(Sampler, OrderIsTemperatureThenTopKThenTopPThenMinP) {
  const auto logits = LogitsOf({0.5, 0.25, 0.15, 0.1});
  // Without top_k, 0.83 needs three tokens; after top_k = 3 and renormalising, 0.75 / 0.9 = 0.833
  // reaches it with two.
  ExpectFrequencies(Frequencies(logits, {.top_p = 0.83, .top_k = 3, .seed = 10}),
                    {2.0 / 3, 1.0 / 3, 0, 0});
  // At temperature 0.5 the weights are 25 : 6.25 : 2.25 : 1, so that top_p = 0.9 of 34.5 = 31.05
  // needs two tokens, where it needs three at temperature 1.
  ExpectFrequencies(Frequencies(logits, {.temperature = 0.5, .top_p = 0.9, .seed = 11}),
                    {0.8, 0.2, 0, 0});
  // min_p comes last, and after temperature: 2.25 / 25 = 0.09 falls, 0.25 stays.
  ExpectFrequencies(Frequencies(logits, {.temperature = 0.5, .min_p = 0.1, .seed = 12}),
                    {0.8, 0.2, 0, 0});
}

TEST(Sampler, DependsOnSeedChoiceAndPositionAlone) {
  const std::vector<float> logits(100, 0.0F);
  const auto draw = [&](uint64_t seed, uint64_t choice) {
    Sampler sampler({.seed = seed}, choice);
    std::vector<int32_t> tokens;
    for (int64_t position = 10; position < 30; ++position)
      tokens.push_back(sampler.Sample(logits, position));
    return tokens;
  };
  EXPECT_EQ(draw(1, 0), draw(1, 0));
  EXPECT_NE(draw(1, 0), draw(2, 0));
  EXPECT_NE(draw(1, 0), draw(1, 1));
  // What was drawn before does not matter.
  Sampler sampler({.seed = 1}, 0);
  EXPECT_EQ(sampler.Sample(logits, 29), draw(1, 0).back());
  EXPECT_EQ(sampler.Sample(logits, 10), draw(1, 0).front());
}

// Draws from two distributions with the same key agree nearly as often as draws can: a draft made
// with the request's own sampler is usually right when the two distributions are alike.
TEST(Sampler, DrawsFromTwoDistributionsAgreeAsOftenAsTheyCan) {
  const std::vector<double> p = {0.4, 0.3, 0.2, 0.1}, q = {0.3, 0.4, 0.1, 0.2};
  double overlap = 0;  // 0.8
  for (size_t i = 0; i < p.size(); ++i) overlap += std::min(p[i], q[i]);
  // Both draw i when the arrivals of all others are late for both.
  double expected = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    double rate = 0;
    for (size_t j = 0; j < p.size(); ++j) rate += std::max(p[j] / p[i], q[j] / q[i]);
    expected += 1 / rate;
  }
  EXPECT_GE(expected, overlap / (2 - overlap));
  Sampler model({.seed = 21}, 0), draft({.seed = 21}, 0);
  const auto p_logits = LogitsOf(p), q_logits = LogitsOf(q);
  double same = 0;
  for (int64_t position = 0; position < kDraws; ++position)
    same += model.Sample(p_logits, position) == draft.Sample(q_logits, position);
  EXPECT_NEAR(same / kDraws, expected, 5 * std::sqrt(expected * (1 - expected) / kDraws));
}

// What one position drew says nothing about another's, nor one choice's about another's.
// Most tokens are passed over by a bound on when they come; who comes first is the same. Where k is
// the whole vocabulary nobody is passed over.
TEST(Sampler, BoundsDoNotChangeWhoComesFirst) {
  RandomStream random(7);
  int likeliest = 0, draws = 0;
  for (const size_t size : {1, 2, 63, 64, 65, 1000, 4097}) {
    for (const double temperature : {0.01, 0.3, 1.0, 1.7, 100.0}) {
      std::vector<float> logits;
      for (size_t i = 0; i < size; ++i)
        logits.push_back(static_cast<float>(4 * random.NextNormal()) - 100);
      if (size > 2) logits[1] = -std::numeric_limits<float>::infinity();
      const auto largest = std::max_element(logits.begin(), logits.end()) - logits.begin();
      Sampler fast({.temperature = temperature, .seed = size}, 3);
      Sampler all({.temperature = temperature, .top_k = static_cast<int64_t>(size), .seed = size},
                  3);
      for (int64_t position = 0; position < 200; ++position) {
        const int32_t token = fast.Sample(logits, position + (position << 33));
        ASSERT_EQ(token, all.Sample(logits, position + (position << 33)))
            << size << " tokens, temperature " << temperature << ", position " << position;
        ++draws;
        likeliest += token == largest ? 1 : 0;
      }
    }
  }
  EXPECT_LT(likeliest, draws * 3 / 4);
}

TEST(Sampler, DrawsAreIndependent) {
  const std::vector<double> p = {0.5, 0.3, 0.2};
  const auto logits = LogitsOf(p);
  Sampler one({.seed = 22}, 0), other({.seed = 22}, 1);
  double neighbours = 0, choices = 0;
  for (int64_t position = 0; position < kDraws; ++position) {
    const int32_t token = one.Sample(logits, position);
    neighbours += token == one.Sample(logits, position + 1);
    choices += token == other.Sample(logits, position);
  }
  const double same = 0.25 + 0.09 + 0.04, deviation = std::sqrt(same * (1 - same) / kDraws);
  EXPECT_NEAR(neighbours / kDraws, same, 5 * deviation);
  EXPECT_NEAR(choices / kDraws, same, 5 * deviation);
}

TEST(Sampler, ATokenOfNoProbabilityIsNeverDrawn) {
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  ExpectFrequencies(Frequencies({kNever, 0, kNever, 0, kNever}, {.seed = 13}), {0, 0.5, 0, 0.5, 0});
}

TEST(Sampler, DamagedLogitsAreAnError) {
  Sampler sampler({}, 0);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_THROW(sampler.Sample(std::vector<float>{0, nan}, 0), Error);
  EXPECT_THROW(sampler.Sample(std::vector<float>{nan, 0}, 0), Error);
  EXPECT_THROW(sampler.Sample(std::vector<float>{0, infinity}, 0), Error);
  EXPECT_THROW(sampler.Sample(std::vector<float>{-infinity, -infinity}, 0), Error);
}

TEST(Sampler, ParametersOutOfRangeAreUsageErrors) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const SamplingParams wrong[] = {{.temperature = -1},
                                  {.temperature = 0.001},
                                  {.temperature = 101},
                                  {.temperature = nan},
                                  {.top_p = 0},
                                  {.top_p = 1.1},
                                  {.top_p = nan},
                                  {.top_k = -1},
                                  {.min_p = -0.1},
                                  {.min_p = 1.1},
                                  {.min_p = nan},
                                  {.frequency_penalty = 2.1},
                                  {.presence_penalty = -2.1},
                                  {.repetition_penalty = 0},
                                  {.logit_bias = {{0, 101}}},
                                  {.logit_bias = {{0, nan}}},
                                  {.logit_bias = std::vector<TokenBias>(kMostBiases + 1)}};
  for (const SamplingParams& params : wrong) EXPECT_THROW(Sampler(params, 0), UsageError);
}

}  // namespace
}  // namespace fathom::test
