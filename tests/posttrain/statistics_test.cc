#include "posttrain/evaluation/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace fathom {
namespace {

// Worked by hand from Wilson's formula with z = 1.96.
TEST(Statistics, WilsonIntervals) {
  const Estimated half = WilsonInterval(5, 10);
  EXPECT_DOUBLE_EQ(half.value, 0.5);
  EXPECT_NEAR(half.low, 0.2366, 5e-4);
  EXPECT_NEAR(half.high, 0.7634, 5e-4);
  const Estimated none = WilsonInterval(0, 10);
  EXPECT_EQ(none.low, 0);
  EXPECT_NEAR(none.high, 0.2775, 5e-4);  // z^2 / (n + z^2)
  const Estimated all = WilsonInterval(10, 10);
  EXPECT_NEAR(all.low, 0.7225, 5e-4);
  EXPECT_EQ(all.high, 1);
}

TEST(Statistics, PassAtKIsTheShareOfDrawsWithARightOne) {
  EXPECT_DOUBLE_EQ(PassAtK(10, 0, 3), 0);
  EXPECT_DOUBLE_EQ(PassAtK(10, 10, 1), 1);
  EXPECT_DOUBLE_EQ(PassAtK(10, 3, 1), 0.3);
  // 1 - C(3,2)/C(5,2) = 1 - 3/10.
  EXPECT_DOUBLE_EQ(PassAtK(5, 2, 2), 0.7);
  EXPECT_DOUBLE_EQ(PassAtK(5, 2, 4), 1);
  // By counting all draws of 3 of 6, two of which are right.
  int with = 0, draws = 0;
  for (int mask = 0; mask < 64; ++mask) {
    if (__builtin_popcount(static_cast<unsigned>(mask)) != 3) continue;
    ++draws;
    if ((mask & 3) != 0) ++with;
  }
  EXPECT_DOUBLE_EQ(PassAtK(6, 2, 3), static_cast<double>(with) / draws);
}

TEST(Statistics, TheBootstrapIsAsWideAsTheNormalApproximation) {
  std::vector<double> values;
  for (int i = 0; i < 400; ++i) values.push_back(i % 4 * 0.25);
  const Estimated mean = BootstrapMean(values);
  EXPECT_DOUBLE_EQ(mean.value, 0.375);
  // The standard deviation is sqrt(0.078125).
  const double half = 1.96 * std::sqrt(0.078125 / 400);
  EXPECT_NEAR(mean.low, 0.375 - half, 0.004);
  EXPECT_NEAR(mean.high, 0.375 + half, 0.004);
  const std::vector<double> same(10, 0.5);
  EXPECT_EQ(BootstrapMean(same).low, 0.5);
  EXPECT_EQ(BootstrapMean(same).high, 0.5);
}

TEST(Statistics, McNemarsTestIsExact) {
  // a alone is right on 8 problems, b alone on 2: 2 P(X <= 2 of 10) = 2 (1 + 10 + 45) / 1024.
  std::vector<double> a(30, 1), b(30, 1);
  for (int i = 0; i < 8; ++i) b[static_cast<size_t>(i)] = 0;
  for (int i = 8; i < 10; ++i) a[static_cast<size_t>(i)] = 0;
  const PairedDifference difference = ComparePaired(a, b);
  EXPECT_NEAR(difference.p, 112.0 / 1024, 1e-12);
  EXPECT_EQ(difference.better, 8);
  EXPECT_EQ(difference.worse, 2);
  EXPECT_DOUBLE_EQ(difference.difference.value, 0.2);
  EXPECT_LT(difference.difference.low, 0.2);
  EXPECT_GT(difference.difference.high, 0.2);
  EXPECT_DOUBLE_EQ(ComparePaired(a, a).p, 1);
  // As many here as there.
  EXPECT_DOUBLE_EQ(ComparePaired(std::vector<double>{1, 0}, std::vector<double>{0, 1}).p, 1);
}

TEST(Statistics, SharesAreComparedByExchanging) {
  // All 10 differences have one sign: 2 of 1024 exchanges are as extreme.
  const std::vector<double> a(10, 0.75), b(10, 0.5);
  EXPECT_NEAR(ComparePaired(a, b).p, 2.0 / 1024, 0.0015);
  EXPECT_NEAR(ComparePaired(b, a).p, 2.0 / 1024, 0.0015);
  std::vector<double> c = b;
  c[0] = 0.75, c[1] = 0.25;
  EXPECT_GT(ComparePaired(b, c).p, 0.9);
}

}  // namespace
}  // namespace fathom
