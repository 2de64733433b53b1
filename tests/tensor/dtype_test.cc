#include "tensor/dtype.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace fathom {
namespace {

BF16 FromBits(uint16_t bits) {
  BF16 value;
  value.bits = bits;
  return value;
}

TEST(DType, SizesAndNames) {
  EXPECT_EQ(SizeOf(DType::kF64), 8u);
  EXPECT_EQ(SizeOf(DType::kF32), 4u);
  EXPECT_EQ(SizeOf(DType::kBF16), 2u);
  EXPECT_EQ(SizeOf(DType::kI32), 4u);
  EXPECT_EQ(Name(DType::kF64), "f64");
  EXPECT_EQ(Name(DType::kF32), "f32");
  EXPECT_EQ(Name(DType::kBF16), "bf16");
  EXPECT_EQ(Name(DType::kI32), "i32");
}

// bf16 has 8 bits of significand: between 1 and 2 its values are 2^-7 apart.
TEST(BF16, RoundsToNearest) {
  EXPECT_EQ(BF16(1.0f).bits, 0x3f80);
  EXPECT_EQ(BF16(-2.0f).bits, 0xc000);
  EXPECT_EQ(BF16(0.0f).bits, 0x0000);
  EXPECT_EQ(BF16(-0.0f).bits, 0x8000);
  EXPECT_EQ(BF16(1.0f + 0x1.8p-9f).bits, 0x3f80);   // three eighths of the way up
  EXPECT_EQ(BF16(1.0f + 0x1.4p-8f).bits, 0x3f81);   // five eighths
  EXPECT_EQ(BF16(-1.0f - 0x1.4p-8f).bits, 0xbf81);  // and the same below zero
}

TEST(BF16, TiesGoToEven) {
  EXPECT_EQ(BF16(1.0f + 0x1p-8f).bits, 0x3f80);             // between 1 and 1 + 2^-7: down
  EXPECT_EQ(BF16(1.0f + 0x1.8p-7f).bits, 0x3f82);           // between 0x3f81 and 0x3f82: up
  EXPECT_EQ(BF16(1.0f + 0x1p-8f + 0x1p-23f).bits, 0x3f81);  // a hair above the tie
  EXPECT_EQ(BF16(2.0f - 0x1p-8f).bits, 0x4000);             // the carry goes into the exponent
}

TEST(BF16, NotANumberStaysOne) {
  EXPECT_TRUE(std::isnan(static_cast<float>(BF16(std::numeric_limits<float>::quiet_NaN()))));
  // A NaN whose payload lies in the lower half alone: cutting it off would make an infinity, and
  // rounding up the largest one a zero.
  EXPECT_TRUE(std::isnan(static_cast<float>(BF16(std::bit_cast<float>(0x7f800001u)))));
  EXPECT_TRUE(std::isnan(static_cast<float>(BF16(std::bit_cast<float>(0x7fffffffu)))));
  const auto negative = BF16(std::bit_cast<float>(0xffffffffu));
  EXPECT_TRUE(std::isnan(static_cast<float>(negative)));
  EXPECT_EQ(negative.bits & 0x8000, 0x8000);
}

TEST(BF16, InfinityAndOverflow) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(BF16(infinity).bits, 0x7f80);
  EXPECT_EQ(BF16(-infinity).bits, 0xff80);
  EXPECT_EQ(BF16(std::numeric_limits<float>::max()).bits, 0x7f80);
  EXPECT_EQ(BF16(-std::numeric_limits<float>::max()).bits, 0xff80);
  // The largest bf16 is 0x7f7f; half a step above it is a tie that goes to the even infinity, and a
  // hair below that stays.
  EXPECT_EQ(BF16(std::bit_cast<float>(0x7f7f8000u)).bits, 0x7f80);
  EXPECT_EQ(BF16(std::bit_cast<float>(0x7f7f7fffu)).bits, 0x7f7f);
}

TEST(BF16, Subnormals) {
  EXPECT_EQ(BF16(0x1p-133f).bits, 0x0001);    // the smallest
  EXPECT_EQ(BF16(0x1p-134f).bits, 0x0000);    // half of it: a tie, to even zero
  EXPECT_EQ(BF16(0x1.8p-133f).bits, 0x0002);  // a tie, to even
  EXPECT_EQ(BF16(0x1.8p-134f).bits, 0x0001);  // three quarters: up
  EXPECT_EQ(static_cast<float>(FromBits(0x0001)), 0x1p-133f);
  EXPECT_EQ(BF16(std::bit_cast<float>(0x007fffffu)).bits, 0x0080);  // up into the normal numbers
}

TEST(BF16, EveryValueSurvivesTheTripThroughFloat) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const BF16 value = FromBits(static_cast<uint16_t>(bits));
    const auto single = static_cast<float>(value);
    if (std::isnan(single)) {
      EXPECT_TRUE(std::isnan(static_cast<float>(BF16(single))));
    } else {
      ASSERT_EQ(BF16(single).bits, value.bits);
    }
  }
}

}  // namespace
}  // namespace fathom
