#include "plan/money.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "plan/comparison.h"

namespace fathom {
namespace {

SourcedValue Range(double low, double likely, double high) {
  return {low, likely, high, "test", "2026"};
}

// By hand: the likely value is the median, whatever the range; a quarter of a half's mass lies in
// the outer half of its triangle.
TEST(UncertaintyTest, RangeQuantiles) {
  EXPECT_DOUBLE_EQ(RangeQuantile(Range(0, 1, 2), 0.5), 1);
  EXPECT_DOUBLE_EQ(RangeQuantile(Range(0, 1, 2), 0.125), 0.5);
  EXPECT_DOUBLE_EQ(RangeQuantile(Range(0, 1, 101), 0.5), 1);
  EXPECT_DOUBLE_EQ(RangeQuantile(Range(0, 1, 101), 0.875), 51);
  EXPECT_DOUBLE_EQ(RangeQuantile(Range(3, 3, 3), 0.7), 3);
  EXPECT_DOUBLE_EQ(RangeQuantile(Range(0, 0, 1), 0.3), 0);
}

TEST(UncertaintyTest, IntervalAndTornado) {
  const std::vector<SourcedValue> inputs = {Range(0, 1, 2), Range(-10, 0, 10), Range(5, 5, 5)};
  const auto sum = [](std::span<const double> v) { return v[0] + v[1] + v[2]; };
  const Uncertainty result = Propagate(inputs, sum, 7);
  EXPECT_DOUBLE_EQ(result.likely, 6);
  EXPECT_NEAR(result.p50, 6, 0.3);
  // The wide input rules: the 5 % quantile of (-10, 0, 10) is -10 + sqrt(0.05 x 20 x 10) = -6.84.
  EXPECT_NEAR(result.p05, 6 - 6.84, 0.4);
  EXPECT_NEAR(result.p95, 6 + 6.84, 0.4);
  ASSERT_EQ(result.tornado.size(), 2u);  // the third does nothing
  EXPECT_EQ(result.tornado[0].input, 1u);
  EXPECT_DOUBLE_EQ(result.tornado[0].at_low, -4);
  EXPECT_DOUBLE_EQ(result.tornado[0].at_high, 16);
  // The same seed gives the same samples.
  EXPECT_EQ(Propagate(inputs, sum, 7).p05, result.p05);
  EXPECT_NE(Propagate(inputs, sum, 8).p05, result.p05);
}

TEST(MoneyTest, AnOwnedHourByHand) {
  std::array<double, Money::kInputs> v{};
  v[Money::kPrice] = 8766 * 4;  // a dollar an hour over four years without interest
  v[Money::kPowerUse] = 1;
  v[Money::kPue] = 2;
  v[Money::kElectricity] = 0.1;
  v[Money::kColocation] = 8766.0 / 12;  // a dollar a kWh of power
  v[Money::kUpkeep] = 0.25;
  v[Money::kYears] = 4;
  v[Money::kAvailable] = 0.5;
  v[Money::kWatts] = 500;
  v[Money::kServerPowerShare] = 1;  // 1 kW
  const OwnedHour hour = Money::Hour(v);
  EXPECT_DOUBLE_EQ(hour.capital.value(), 2);
  EXPECT_DOUBLE_EQ(hour.electricity.value(), 0.4);
  EXPECT_DOUBLE_EQ(hour.colocation.value(), 2);
  EXPECT_DOUBLE_EQ(hour.upkeep.value(), 2);
  // One year at 10 %: all of it and the interest.
  v[Money::kYears] = 1;
  v[Money::kCapitalCost] = 0.1;
  EXPECT_NEAR(Money::Hour(v).capital.value(), 2 * 4 * 1.1, 1e-9);
}

// SemiAnalysis: $640 M a year for 60,000 devices, of which 50,000 Hoppers cost $545 M: $1.24 an
// hour. The price of a device comes from the same source's capital, so only the rest is predicted.
TEST(MoneyTest, AgainstPublishedTotal) {
  const Hardware hardware = Hardware::Load();
  const Uncertainty range = Money::Load(hardware.Get("h800")).HourRange(1);
  const double published = 545e6 / 50000 / 8766;
  fmt::print(
      "  an owned Hopper hour: ${:.2f} (5 to 95 %: {:.2f} to {:.2f}); published total ${:.2f}\n",
      range.likely, range.p05, range.p95, published);
  EXPECT_LT(range.p05, range.likely);
  EXPECT_GT(range.p95, range.likely);
  Compare("owned Hopper, dollars an hour", Claim::kPrediction, published, range.likely, 0.4);
}

TEST(MoneyTest, Errors) {
  const Hardware hardware = Hardware::Load();
  EXPECT_THROW(Money::Load(hardware.Get("b200")), Error);
  EXPECT_NO_THROW(Money::Load(hardware.Get("b200"), 40000));
  EXPECT_THROW(Money::Load(hardware.Get("h800"), -5), UsageError);
}

}  // namespace
}  // namespace fathom
