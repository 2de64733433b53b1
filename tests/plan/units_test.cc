#include "plan/units.h"

#include <gtest/gtest.h>

#include <type_traits>

namespace fathom {
namespace {

template <typename A, typename B>
concept Adds = requires(A a, B b) {
  a + b;
};
template <typename A, typename B>
concept Compares = requires(A a, B b) {
  a < b;
};
template <typename To, typename From>
concept Initialises = requires(From from, void (*take)(To)) {
  take(from);
};

// What has to build ...
static_assert(Adds<Bytes, Bytes> && Adds<Dollars, Dollars> && Compares<Seconds, Seconds>);
static_assert(std::is_same_v<decltype(Flops(1) / FlopsPerSecond(1)), Seconds>);
static_assert(std::is_same_v<decltype(Bytes(1) / BytesPerSecond(1)), Seconds>);
static_assert(std::is_same_v<decltype(DollarsPerSecond(1) * Seconds(1)), Dollars>);
static_assert(std::is_same_v<decltype(DollarsPerSecond(1) / TokensPerSecond(1)), DollarsPerToken>);
static_assert(std::is_same_v<decltype(Watts(1) * Seconds(1)), Joules>);
static_assert(std::is_same_v<decltype(Bytes(1) / Bytes(1)), double>);
static_assert(std::is_same_v<decltype(BytesPerToken(1) * Tokens(1)), Bytes>);
// ... and what must not.
static_assert(!Adds<Bytes, Flops> && !Adds<Seconds, Dollars> && !Adds<Bytes, double>);
static_assert(!Adds<Tokens, Seconds> && !Adds<Watts, Joules>);
static_assert(!Compares<Bytes, Flops> && !Compares<Seconds, double>);
static_assert(!Initialises<Seconds, Dollars> && !Initialises<Bytes, double>);
static_assert(!Initialises<double, Bytes> &&
              !Initialises<Seconds, decltype(Bytes(1) / FlopsPerSecond(1))>);

TEST(UnitsTest, ArithmeticKeepsDimensions) {
  EXPECT_DOUBLE_EQ((Flops(3e15) / (Flops(1e15) / Seconds(1))).value(), 3);
  EXPECT_DOUBLE_EQ((PerHour(2) * Hours(2.788e6)).value(), 5.576e6);
  EXPECT_DOUBLE_EQ(PerMillionTokens(Dollars(2.19) / Tokens(1e6)), 2.19);
  EXPECT_DOUBLE_EQ(Days(1) / Hours(1), 24);
}

TEST(UnitsTest, FormatsForPeople) {
  EXPECT_EQ(Format(Bytes(678e9)), "678 GB");
  EXPECT_EQ(Format(Bytes(70272)), "70.3 kB");
  EXPECT_EQ(Format(Bytes(999.6e9)), "1.00 TB");
  EXPECT_EQ(Format(Seconds(19.926)), "19.9 s");
  EXPECT_EQ(Format(Seconds(0.01476)), "14.8 ms");
  EXPECT_EQ(Format(Seconds(120.96e-6)), "121 us");
  EXPECT_EQ(Format(Hours(24 * 54.2)), "54.2 d");
  EXPECT_EQ(Format(Dollars(5.576e6)), "$5.576 M");
  EXPECT_EQ(Format(Dollars(87072)), "$87,072");
  EXPECT_EQ(Format(Dollars(2.19)), "$2.19");
  EXPECT_EQ(Format(Dollars(0.0028)), "$0.0028");
  EXPECT_EQ(Format(Dollars(-1.6e9)), "-$1.600 B");
  EXPECT_EQ(Format(FlopsPerSecond(989e12)), "989 TFLOPS");
  EXPECT_EQ(Format(TokensPerSecond(73700)), "73.7 k tokens/s");
  EXPECT_EQ(FormatNumber(2664000), "2,664,000");
  EXPECT_EQ(FormatNumber(226.75, 2), "226.75");
}

TEST(UnitsTest, Counts) {
  EXPECT_EQ(FormatCount(530432), "530,432");
  EXPECT_EQ(FormatCount(999999.4), "999,999");
  EXPECT_EQ(FormatCount(999999.7), "1.000 M");
  EXPECT_EQ(FormatCount(2.664e6), "2.664 M");
  EXPECT_EQ(FormatCount(1.0468e12), "1.047 T");
  EXPECT_EQ(FormatCount(-14.8e12), "-14.80 T");
  EXPECT_EQ(FormatCount(999.97e9), "1.000 T");
  EXPECT_EQ(Format(Dollars(1.5e12)), "$1.500 T");
}

}  // namespace
}  // namespace fathom
