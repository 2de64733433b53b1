#include "base/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace fathom {
namespace {

using Words = std::array<uint32_t, 4>;

// The known-answer vectors of Random123 (kat_vectors, philox4x32 with 10 rounds).
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(Philox4x32(0, {0, 0, 0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(Philox4x32(0xffffffffffffffff, {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  // Digits of pi; the key's words are a4093822 299f31d0, the first lowest.
  EXPECT_EQ(Philox4x32(0x299f31d0a4093822, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomStream, IsAFunctionOfKeyAndPosition) {
  RandomStream all(42);
  std::vector<uint64_t> bits(20);
  for (uint64_t& value : bits) value = all.NextBits();
  EXPECT_EQ(all.position(), 20u);
  for (uint64_t start = 0; start < bits.size(); ++start)
    EXPECT_EQ(RandomStream(42, start).NextBits(), bits[start]);
  EXPECT_NE(RandomStream(43).NextBits(), bits[0]);
  EXPECT_NE(MixKey(1, 2), MixKey(2, 1));
}

TEST(RandomStream, UniformLiesInRangeAndIsEven) {
  RandomStream random(7);
  constexpr int kDraws = 100000;
  std::vector<int> buckets(10);
  for (int i = 0; i < kDraws; ++i) {
    const double value = random.NextUniform();
    ASSERT_GE(value, 0);
    ASSERT_LT(value, 1);
    ++buckets[static_cast<size_t>(value * 10)];
  }
  // Five standard deviations of a binomial count.
  const double deviation = std::sqrt(kDraws * 0.1 * 0.9);
  for (const int count : buckets) EXPECT_NEAR(count, kDraws / 10, 5 * deviation);
}

TEST(RandomStream, BelowKeepsItsBoundAndReachesEverything) {
  RandomStream random(8);
  EXPECT_EQ(random.NextBelow(1), 0u);
  std::vector<int> seen(7);
  for (int i = 0; i < 7000; ++i) ++seen[random.NextBelow(7)];
  for (const int count : seen) EXPECT_NEAR(count, 1000, 5 * std::sqrt(7000 / 7.0 * 6 / 7));
  // Half of all draws are rejected here: what is left is still below the bound.
  constexpr uint64_t kLarge = (uint64_t{1} << 63) + 1;
  for (int i = 0; i < 100; ++i) EXPECT_LT(random.NextBelow(kLarge), kLarge);
}

TEST(RandomStream, NormalHasTheMomentsOfTheStandardNormal) {
  RandomStream random(9);
  constexpr int kDraws = 200000;
  double sum = 0, squares = 0, fourths = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double value = random.NextNormal();
    ASSERT_TRUE(std::isfinite(value));
    sum += value;
    squares += value * value;
    fourths += value * value * value * value;
  }
  // Standard errors: 1, sqrt(2) and sqrt(96) over the root of the number of draws.
  const double root = std::sqrt(static_cast<double>(kDraws));
  EXPECT_NEAR(sum / kDraws, 0, 5 / root);
  EXPECT_NEAR(squares / kDraws, 1, 5 * std::sqrt(2.0) / root);
  EXPECT_NEAR(fourths / kDraws, 3, 5 * std::sqrt(96.0) / root);
}

}  // namespace
}  // namespace fathom
