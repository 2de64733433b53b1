#include "tensor/quantize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace fathom::test {
namespace {

// The format's definition, in double: 5 bits of exponent, 6 of mantissa.
double Definition(int bits) {
  const int exponent = (bits >> 6) & 31, mantissa = bits & 63;
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -20) : std::ldexp(1 + mantissa / 64.0, exponent - 15);
  return (bits & 0x800) == 0 ? magnitude : -magnitude;
}

TEST(E5M6, CodesHaveTheValuesOfTheFormat) {
  for (int bits = 0; bits < 0x1000; ++bits) {
    E5M6 code;
    code.bits = static_cast<uint16_t>(bits);
    if (((bits >> 6) & 31) == 31) {
      EXPECT_TRUE(std::isnan(static_cast<float>(code))) << bits;
    } else {
      EXPECT_EQ(static_cast<double>(static_cast<float>(code)), Definition(bits)) << bits;
    }
  }
}

// Between two neighbours: the nearer, of two equally near the one whose last bit is 0.
TEST(E5M6, RoundsToNearestEven) {
  for (int bits = 0; bits < 0x7bf; ++bits) {
    const double low = Definition(bits), high = Definition(bits + 1), middle = (low + high) / 2;
    const auto rounded = [](double value) {
      return static_cast<double>(static_cast<float>(E5M6(static_cast<float>(value))));
    };
    EXPECT_EQ(rounded(low), low);
    EXPECT_EQ(rounded(middle), bits % 2 == 0 ? low : high) << bits;
    EXPECT_EQ(rounded(middle - (high - low) / 8), low) << bits;
    EXPECT_EQ(rounded(middle + (high - low) / 8), high) << bits;
    EXPECT_EQ(rounded(-middle), -rounded(middle));
  }
  EXPECT_EQ(static_cast<float>(E5M6(1e30F)), 65024);
  EXPECT_EQ(static_cast<float>(E5M6(-std::numeric_limits<float>::infinity())), -65024);
  EXPECT_TRUE(std::isnan(static_cast<float>(E5M6(std::nanf("")))));
}

TEST(Quantize, ScalesComeFromTheLargestMagnitude) {
  EXPECT_EQ(TileScale(DType::kE4M3, 448), 1);
  EXPECT_EQ(TileScale(DType::kE4M3, 44.8F), 44.8F / 448);
  EXPECT_EQ(TileScale(DType::kE4M3, 0), 1);
  EXPECT_EQ(TileScale(DType::kE4M3Ue8m0, 448), 1);
  EXPECT_EQ(TileScale(DType::kE4M3Ue8m0, 449), 2);
  EXPECT_EQ(TileScale(DType::kE4M3Ue8m0, 224), 0.5F);
  EXPECT_EQ(TileScale(DType::kE4M3Ue8m0, 225), 1);
  EXPECT_EQ(TileScale(DType::kE5M6, 65024), 1);
  EXPECT_EQ(TileScale(DType::kE5M6, 1), 0x1p-15F);
  EXPECT_TRUE(std::isnan(TileScale(DType::kE4M3, std::numeric_limits<float>::infinity())));
  EXPECT_TRUE(std::isfinite(1 / TileScale(DType::kE4M3, 1e-44F)));
}

// 200 elements, 896 the largest of the first tile (scale 2), 0.4375 of the second (2^-10).
TEST(Quantize, ARowIsItsCodesAndTheScalesOfItsTiles) {
  std::vector<float> x(200);
  x[0] = 896;
  x[1] = -3;        // code value -1.5
  x[2] = 2.12F;     // 1.06: to the nearest of 1, 1.125
  x[127] = 0.003F;  // below the smallest code, 2^-9 x 2, by more than half of it, rounds up
  x[128] = 0.4375F;
  x[129] = -0.001F;  // -1.024: to -1
  std::vector<uint8_t> row(static_cast<size_t>(QuantizedRowBytes(DType::kE4M3, 200)));
  ASSERT_EQ(row.size(), 200U + 2 * 4);
  QuantizeRow(DType::kE4M3, x, row.data());
  EXPECT_EQ(row[0], 0x7e);         // 448
  EXPECT_EQ(row[1], 0x80 | 0x3c);  // -1.5
  EXPECT_EQ(row[2], 0x38);         // 1
  EXPECT_EQ(row[127], 0x01);       // 2^-9
  EXPECT_EQ(row[128], 0x7e);
  EXPECT_EQ(row[129], 0x80 | 0x38);
  std::vector<float> y(200);
  DequantizeRow(DType::kE4M3, row.data(), y);
  EXPECT_EQ(y[0], 896);
  EXPECT_EQ(y[1], -3);
  EXPECT_EQ(y[2], 2);
  EXPECT_EQ(y[127], 0x1p-8F);
  EXPECT_EQ(y[128], 0.4375F);
  EXPECT_EQ(y[129], -0x1p-10F);
  EXPECT_EQ(y[199], 0);
}

TEST(Quantize, E5M6TakesTwelveBitsAndKeepsSixOfMantissa) {
  for (const int64_t d : {1, 2, 127, 128, 129, 200, 384}) {
    const int64_t bytes = QuantizedRowBytes(DType::kE5M6, d);
    EXPECT_LE(bytes, (3 * d + 1) / 2 + 4 * ((d + 127) / 128) + 4);
    std::vector<float> x(static_cast<size_t>(d)), y(x.size());
    for (size_t i = 0; i < x.size(); ++i) {
      x[i] = std::sin(static_cast<float>(i)) * 3 + static_cast<float>(i % 7);
    }
    std::vector<uint8_t> row(static_cast<size_t>(bytes));
    QuantizeRow(DType::kE5M6, x, row.data());
    DequantizeRow(DType::kE5M6, row.data(), y);
    for (size_t i = 0; i < x.size(); ++i) {
      EXPECT_LE(std::abs(y[i] - x[i]), std::abs(x[i]) / 128) << i << " of " << d;
    }
  }
}

}  // namespace
}  // namespace fathom::test
