#include "posttrain/rewards/hacking.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "base/random.h"

namespace fathom::test {
namespace {

using Series = std::function<double(int64_t step)>;

std::vector<RewardHackingWatch::Finding> Watch(int64_t steps, const Series& proxy,
                                               const Series& gold) {
  RewardHackingWatch watch(20);
  std::vector<RewardHackingWatch::Finding> findings;
  for (int64_t step = 1; step <= steps; ++step) {
    if (const auto finding = watch.Add(step, proxy(step), gold(step))) findings.push_back(*finding);
  }
  return findings;
}

class RewardHacking : public testing::Test {
 protected:
  Series Noise(double scale) {
    return [this, scale](int64_t) { return scale * random_.NextNormal(); };
  }
  // Noise around a line that begins to climb at a step.
  Series Line(double slope, int64_t from = 0) {
    return [this, slope, from](int64_t step) {
      return slope * static_cast<double>(std::max<int64_t>(0, step - from)) +
             0.05 * random_.NextNormal();
    };
  }

  RandomStream random_{5};
};

TEST_F(RewardHacking, IsFoundWhereTheProxyRisesAndTheGoldFalls) {
  const auto findings = Watch(60, Line(0.05), Line(-0.05, 30));
  ASSERT_FALSE(findings.empty());
  EXPECT_GT(findings[0].last_step, 30);
  EXPECT_EQ(findings[0].last_step - findings[0].first_step, 19);
  EXPECT_GT(findings[0].proxy_after, findings[0].proxy_before);
  EXPECT_LT(findings[0].gold_after, findings[0].gold_before);
  // A window says it once.
  EXPECT_LE(findings.size(), 2);
}

TEST_F(RewardHacking, IsNotFoundOtherwise) {
  EXPECT_TRUE(Watch(200, Line(0.05), Line(0.02)).empty()) << "both rise";
  EXPECT_TRUE(Watch(200, Line(-0.05), Line(-0.05)).empty()) << "both fall";
  EXPECT_TRUE(Watch(200, Line(0.05), [](int64_t) { return 0.5; }).empty()) << "gold stays";
  EXPECT_TRUE(Watch(5000, Noise(1), Noise(1)).empty()) << "noise";
  EXPECT_TRUE(Watch(19, Line(0.05), Line(-0.05)).empty()) << "too few steps";
}

TEST_F(RewardHacking, WithoutNoiseADifferenceIsEnough) {
  const auto step = [](double before, double after) {
    return [=](int64_t at) { return at <= 10 ? before : after; };
  };
  EXPECT_EQ(Watch(20, step(0, 1), step(1, 0)).size(), 1);
  EXPECT_TRUE(Watch(20, step(0, 1), step(1, 1)).empty());
}

TEST_F(RewardHacking, WhatIsNoNumberIsPassedOver) {
  RewardHackingWatch watch(4);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(watch.Add(1, 0, 1));
  EXPECT_FALSE(watch.Add(2, nan, 1));
  EXPECT_FALSE(watch.Add(3, 0, 1));
  EXPECT_FALSE(watch.Add(4, 1, nan));
  EXPECT_FALSE(watch.Add(5, 1, 0));
  EXPECT_TRUE(watch.Add(6, 1, 0));
}

}  // namespace
}  // namespace fathom::test
