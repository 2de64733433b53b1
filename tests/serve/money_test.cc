#include "serve/accounts/money.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/temporary_directory.h"

namespace fathom {
namespace {

TEST(Money, IsReadAndWrittenExactly) {
  EXPECT_EQ(ParseDollars("12", "budget"), 12'000'000);
  EXPECT_EQ(ParseDollars("0.000001", "budget"), 1);
  EXPECT_EQ(ParseDollars("999999999.999999", "budget"), 999'999'999'999'999);
  EXPECT_EQ(FormatDollars(12'000'000), "12.00");
  EXPECT_EQ(FormatDollars(1), "0.000001");
  EXPECT_EQ(FormatDollars(-1'250'000), "-1.25");
  for (const char* text :
       {"", ".", "1.", ".5", "1.0000001", "-1", "1e3", "1 ", "$1", "1234567890", "1.2.3", "0x10"}) {
    EXPECT_ERROR(ParseDollars(text, "budget"), "budget: ");
  }
}

TEST(Money, ACostIsRoundedUpOnceForARequest) {
  // $0.07, $0.27 and $1.10 for a million: 0.07, 0.27 and 1.1 millionths of a dollar for a token.
  const Prices prices = {70'000, 270'000, 1'100'000};
  EXPECT_EQ(prices.Cost({}), 0);
  EXPECT_EQ(prices.Cost({.cache_hit = 1}), 1);
  EXPECT_EQ(prices.Cost({.cache_hit = 100, .cache_miss = 100, .output = 10}), 45);  // 7 + 27 + 11
  EXPECT_EQ(prices.Cost({.cache_hit = 1, .cache_miss = 1, .output = 1}), 2);        // 1.44
  EXPECT_EQ(prices.Cost({.cache_hit = 1'000'000}), 70'000);
}

TEST(Money, ACostThatNoBudgetCanHoldDoesNotOverflow) {
  const Prices prices = {Prices::kMost, Prices::kMost, Prices::kMost};
  EXPECT_EQ(prices.Cost({.output = 1'000'000}), Prices::kMost);
  EXPECT_GT(prices.Cost({.cache_miss = int64_t{1} << 40, .output = int64_t{1} << 40}),
            int64_t{1} << 60);
}

}  // namespace
}  // namespace fathom
