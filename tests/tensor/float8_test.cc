#include "tensor/float8.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace fathom::test {
namespace {

E4M3 Code(int bits) {
  E4M3 code;
  code.bits = static_cast<uint8_t>(bits);
  return code;
}

// The format's definition, in double.
double Definition(int bits) {
  const int exponent = (bits >> 3) & 15, mantissa = bits & 7;
  if (exponent == 15 && mantissa == 7) return std::nan("");
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(1 + mantissa / 8.0, exponent - 7);
  return bits < 128 ? magnitude : -magnitude;
}

// The code nearest to a value, of two equally near the even one, by looking at all of them.
int Nearest(double value) {
  int best = 0;
  double least = std::numeric_limits<double>::infinity();
  for (int bits = 0; bits < 0x7f; ++bits) {
    const double distance = std::abs(std::abs(value) - Definition(bits));
    if (distance < least || (distance == least && bits % 2 == 0)) {
      least = distance;
      best = bits;
    }
  }
  return best | (std::signbit(value) ? 0x80 : 0);
}

TEST(E4M3, EveryCodeIsWhatTheFormatSays) {
  EXPECT_EQ(static_cast<float>(Code(0x7e)), 448.0F);
  EXPECT_EQ(static_cast<float>(Code(0x01)), std::ldexp(1.0F, -9));
  EXPECT_EQ(static_cast<float>(Code(0x08)), std::ldexp(1.0F, -6));
  EXPECT_EQ(static_cast<float>(Code(0x38)), 1.0F);
  for (int bits = 0; bits < 256; ++bits) {
    const auto value = static_cast<double>(static_cast<float>(Code(bits)));
    if ((bits & 0x7f) == 0x7f) {
      EXPECT_TRUE(std::isnan(value));
      continue;
    }
    EXPECT_EQ(value, Definition(bits)) << bits;
    EXPECT_EQ(std::signbit(value), bits >= 128) << bits;
    EXPECT_EQ(E4M3(static_cast<float>(value)).bits, bits);
  }
}

TEST(E4M3, RoundsToTheNearestAndTiesToEven) {
  for (int bits = 0; bits < 0x7e; ++bits) {
    const double low = Definition(bits), high = Definition(bits + 1);
    const auto half_way = static_cast<float>((low + high) / 2);
    for (const float sign : {1.0F, -1.0F}) {
      for (const float value :
           {half_way, std::nextafter(half_way, 0.0F), std::nextafter(half_way, 1000.0F),
            static_cast<float>(low + (high - low) * 0.3)}) {
        EXPECT_EQ(E4M3(sign * value).bits, Nearest(static_cast<double>(sign * value)))
            << sign * value;
      }
    }
  }
  EXPECT_EQ(E4M3(std::ldexp(1.0F, -10)).bits, 0);  // half of the smallest: to the even 0
  EXPECT_EQ(E4M3(1e-30F).bits, 0);
  EXPECT_EQ(E4M3(-1e-40F).bits, 0x80);
}

TEST(E4M3, SaturatesAndKeepsNaN) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float value : {448.0F, 449.0F, 464.0F, 480.0F, 1e30F, infinity}) {
    EXPECT_EQ(E4M3(value).bits, 0x7e) << value;
    EXPECT_EQ(E4M3(-value).bits, 0xfe) << value;
  }
  EXPECT_EQ(E4M3(std::nanf("")).bits & 0x7f, 0x7f);
}

// Vector loops and their tails, at every misalignment, against one code at a time.
TEST(E4M3, RowsAreDecodedAsSingleCodes) {
  std::vector<E4M3> codes;
  for (int i = 0; i < 600; ++i) codes.push_back(Code(i * 37 % 256));
  const float scale = 0.0123456F;
  for (int64_t begin : {0, 1, 3}) {
    for (const int64_t count : {0, 1, 7, 8, 9, 128, 255, 500}) {
      std::vector<float> f32(static_cast<size_t>(count));
      std::vector<BF16> bf16(static_cast<size_t>(count));
      std::vector<double> f64(static_cast<size_t>(count));
      DecodeE4M3(codes.data() + begin, scale, count, f32.data());
      DecodeE4M3(codes.data() + begin, scale, count, bf16.data());
      DecodeE4M3(codes.data() + begin, scale, count, f64.data());
      for (size_t i = 0; i < f32.size(); ++i) {
        const float value = static_cast<float>(codes[i + static_cast<size_t>(begin)]) * scale;
        if (std::isnan(value)) {
          EXPECT_TRUE(std::isnan(f32[i]) && std::isnan(static_cast<float>(bf16[i])) &&
                      std::isnan(f64[i]));
          continue;
        }
        EXPECT_EQ(f32[i], value);
        EXPECT_EQ(bf16[i].bits, BF16(value).bits);
        EXPECT_EQ(f64[i], static_cast<double>(value));
      }
    }
  }
}

TEST(E4M3, RowsAreEncodedAsSingleValues) {
  const float scale = 0.37F;
  std::vector<float> values = {0,     -0.0F,  1e-30F,        448,   464,    465,
                               1e30F, -1e30F, std::nanf(""), -1.5F, 0.001F, 170,
                               -170,  0.01F,  3e-3F,         2e-4F, 5e-4F};
  for (int bits = 0; bits < 0x7e; ++bits)
    values.push_back(static_cast<float>((Definition(bits) + Definition(bits + 1)) / 2) * scale);
  std::vector<E4M3> codes(values.size());
  EncodeE4M3(values.data(), scale, static_cast<int64_t>(values.size()), codes.data());
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isnan(values[i])) {
      EXPECT_EQ(codes[i].bits & 0x7f, 0x7f);
    } else {
      const float scaled = values[i] / scale;
      EXPECT_EQ(codes[i].bits, Nearest(static_cast<double>(scaled))) << values[i];
    }
  }
}

}  // namespace
}  // namespace fathom::test
