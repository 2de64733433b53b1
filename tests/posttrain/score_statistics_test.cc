#include "posttrain/reward_model/score_statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace fathom::test {
namespace {

TEST(ScoreStatisticsTest, PairsAreRightWhereTheBetterTextIsAbove) {
  const std::vector<JudgedExample> pairs = {{.score = 2, .worse_score = 1},
                                            {.score = 1, .worse_score = 1},  // equal is wrong
                                            {.score = -3, .worse_score = -2},
                                            {.score = 5, .worse_score = 0, .value = 1}};
  const ScoreStatistics statistics = MakeScoreStatistics(pairs, /*pairs=*/true);
  EXPECT_DOUBLE_EQ(statistics.accuracy.value, 0.5);
  EXPECT_DOUBLE_EQ(statistics.accuracy.low, WilsonInterval(2, 4).low);
  const auto nll = [](double difference) { return std::log(1 + std::exp(-difference)); };
  EXPECT_DOUBLE_EQ(statistics.loss, (nll(1) + nll(0) + nll(-1) + nll(4)) / 4);
  EXPECT_TRUE(std::isnan(statistics.auc));
}

TEST(ScoreStatisticsTest, TheAreaUnderTheCurveCountsPairsOfLabels) {
  // Of the six pairs of a good and a bad text four are in order and one is even.
  const std::vector<JudgedExample> texts = {{.score = 3, .value = 1},
                                            {.score = 1, .value = 1},
                                            {.score = -1, .value = 1},
                                            {.score = 1, .value = 0},
                                            {.score = -2, .value = 0}};
  const ScoreStatistics statistics = MakeScoreStatistics(texts, /*pairs=*/false);
  EXPECT_DOUBLE_EQ(statistics.auc, 4.5 / 6);
  EXPECT_DOUBLE_EQ(statistics.accuracy.value, 3.0 / 5);
  EXPECT_TRUE(std::isnan(MakeScoreStatistics(std::span(texts).first(3), false).auc));
}

TEST(ScoreStatisticsTest, CalibrationComparesProbabilitiesWithWhatHappened) {
  // Probability 3/4 for texts of which three in four are good, and 1/4 for the reverse.
  const double logit = std::log(3.0);
  std::vector<JudgedExample> texts;
  for (int i = 0; i < 4; ++i) {
    texts.push_back({.score = logit, .value = i < 3 ? 1.0 : 0.0});
    texts.push_back({.score = -logit, .value = i < 1 ? 1.0 : 0.0});
  }
  EXPECT_NEAR(MakeScoreStatistics(texts, false).calibration_error, 0, 1e-12);
  for (JudgedExample& text : texts) text.value = 1 - text.value;
  EXPECT_NEAR(MakeScoreStatistics(texts, false).calibration_error, 0.5, 1e-12);
  // Pairs of which the model is as sure, and right three times in four.
  std::vector<JudgedExample> pairs(4, {.score = logit});
  pairs[0].score = -logit;
  EXPECT_NEAR(MakeScoreStatistics(pairs, true).calibration_error, 0, 1e-12);
}

}  // namespace
}  // namespace fathom::test
