#include "plan/market.h"

#include <gtest/gtest.h>

#include "plan/comparison.h"
#include "plan/run.h"

namespace fathom {
namespace {

TEST(MarketTest, ByHand) {
  EXPECT_DOUBLE_EQ(PriceAfter(64, 4, 3), 1);
  EXPECT_DOUBLE_EQ(YearlyProgress(1000, 3), 10);
  // Elasticity 2: tokens 16 times, spending 4 times; 1: spending stays; 0.5: halves.
  EXPECT_DOUBLE_EQ(SpendingFactor(4, 2), 4);
  EXPECT_DOUBLE_EQ(SpendingFactor(4, 1), 1);
  EXPECT_DOUBLE_EQ(SpendingFactor(4, 0.5), 0.5);
  // Supply that gives any number of hours at one price keeps it; fixed supply at e = 2 and a fall
  // of 4: p^2 = 4.
  EXPECT_NEAR(HourPriceFactor(4, 2, 1e9), 1, 1e-6);
  EXPECT_DOUBLE_EQ(HourPriceFactor(4, 2, 0), 2);
  // The market clears: hours demanded are hours on offer.
  const double price = HourPriceFactor(10, 1.5, 0.5);
  EXPECT_NEAR(std::pow(10, 0.5) * std::pow(price, -1.5), std::pow(price, 0.5), 1e-12);
}

TEST(MarketTest, Gpt3) {
  const Report report = RunPlan(PlanOptions::FromLink("market?samples=0"));
  const auto value = [&](const char* key) {
    return report.Find("price of a capability", key)->value;
  };
  // A fall of 1200 is 5.1 years at 4 a year, 3.1 at 10.
  EXPECT_NEAR(std::pow(4, value("gpt3_at_4")), 1200, 1e-6);
  EXPECT_NEAR(std::pow(10, value("gpt3_at_10")), 1200, 1e-6);
  EXPECT_NEAR(std::pow(value("gpt3_progress"), 3.5), 1200, 1e-6);
}

}  // namespace
}  // namespace fathom
