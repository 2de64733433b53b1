#include "tensor/float16.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

namespace fathom::test {
namespace {

F16 Code(uint32_t bits) {
  F16 code;
  code.bits = static_cast<uint16_t>(bits);
  return code;
}

// The format's definition: 5 bits of exponent (bias 15), 10 of mantissa.
double Definition(uint32_t bits) {
  const int exponent = static_cast<int>((bits >> 10) & 31),
            mantissa = static_cast<int>(bits & 1023);
  const double magnitude = exponent == 0   ? std::ldexp(mantissa, -24)
                           : exponent < 31 ? std::ldexp(1 + mantissa / 1024.0, exponent - 15)
                           : mantissa == 0 ? std::numeric_limits<double>::infinity()
                                           : std::nan("");
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

TEST(F16, EveryCodeIsWhatTheFormatSaysAndComesBack) {
  std::vector<F16> codes;
  for (uint32_t bits = 0; bits < 0x10000; ++bits) codes.push_back(Code(bits));
  // Not a multiple of a vector, so that there is a tail.
  const int64_t count = 0x10000 - 1;
  std::vector<float> f32(codes.size());
  std::vector<double> f64(codes.size());
  std::vector<BF16> bf16(codes.size());
  std::vector<F16> back(codes.size());
  // In a file they may start at an odd byte.
  std::vector<std::byte> bytes(2 * codes.size() + 1);
  std::memcpy(bytes.data() + 1, codes.data(), 2 * codes.size());
  DecodeF16(bytes.data() + 1, count, f32.data());
  DecodeF16(bytes.data() + 1, count, f64.data());
  DecodeF16(bytes.data() + 1, count, bf16.data());
  EncodeF16(f32.data(), count, back.data());
  for (uint32_t bits = 0; bits < count; ++bits) {
    const auto single = static_cast<float>(codes[bits]);
    if (std::isnan(Definition(bits))) {
      ASSERT_TRUE(std::isnan(single) && std::isnan(f32[bits]) && std::isnan(f64[bits]));
      ASSERT_TRUE(std::isnan(static_cast<float>(back[bits])));
      continue;
    }
    ASSERT_EQ(static_cast<double>(single), Definition(bits));
    ASSERT_EQ(f32[bits], single);
    ASSERT_EQ(f64[bits], Definition(bits));
    ASSERT_EQ(bf16[bits].bits, BF16(single).bits);
    ASSERT_EQ(F16(single).bits, bits);
    ASSERT_EQ(back[bits].bits, bits);
  }
}

TEST(F16, RoundsToTheNearestAndTiesToEven) {
  std::vector<float> values;
  std::vector<uint16_t> expected;
  for (uint32_t bits = 0; bits < 0x7bff; ++bits) {
    const auto half_way = static_cast<float>((Definition(bits) + Definition(bits + 1)) / 2);
    values.insert(values.end(), {half_way, std::nextafter(half_way, 0.0F),
                                 std::nextafter(half_way, 1e9F), -half_way});
    const auto even = static_cast<uint16_t>(bits % 2 == 0 ? bits : bits + 1);
    expected.insert(expected.end(),
                    {even, static_cast<uint16_t>(bits), static_cast<uint16_t>(bits + 1),
                     static_cast<uint16_t>(even | 0x8000)});
  }
  const float infinity = std::numeric_limits<float>::infinity();
  for (const auto& [value, bits] : {std::pair{65519.0F, 0x7bff},
                                    {65520.0F, 0x7c00},
                                    {1e30F, 0x7c00},
                                    {infinity, 0x7c00},
                                    {-1e6F, 0xfc00},
                                    {1e-30F, 0},
                                    {-1e-30F, 0x8000}}) {
    values.push_back(value);
    expected.push_back(static_cast<uint16_t>(bits));
  }
  std::vector<F16> codes(values.size());
  EncodeF16(values.data(), static_cast<int64_t>(values.size()), codes.data());
  for (size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(codes[i].bits, expected[i]) << values[i];
    ASSERT_EQ(F16(values[i]).bits, expected[i]) << values[i];
  }
}

}  // namespace
}  // namespace fathom::test
