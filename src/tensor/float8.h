#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "tensor/dtype.h"

namespace fathom {

// FP8 E4M3 as weights have it ("e4m3fn"; OCP 8-bit Floating Point Specification 1.0, section 5):
// sign, 4 bits of exponent (bias 7), 3 of mantissa; subnormals are m 2^-9; no infinities; 0x7f and
// 0xff are NaN. A type of files and of quantised operands: tensors are not computed in it as such.
struct E4M3 {
  static constexpr float kLargest = 448;

  uint8_t bits;

  E4M3() = default;
  // Round to nearest, ties to even; beyond 448, infinities included, it stays 448; NaN stays NaN.
  explicit E4M3(float value) {
    const auto word = std::bit_cast<uint32_t>(value);
    const auto sign = static_cast<uint8_t>((word >> 24) & 0x80u);
    const uint32_t magnitude = word & 0x7fffffffu;
    constexpr uint32_t kSmallestNormal = 0x3c800000, kLargestWord = 0x43e00000;  // 2^-6, 448
    if (magnitude > 0x7f800000u) {
      bits = sign | 0x7f;
    } else if (magnitude >= kLargestWord) {
      bits = sign | 0x7e;
    } else if (magnitude >= kSmallestNormal) {
      const uint32_t rounded = (magnitude + 0x7ffffu + ((magnitude >> 20) & 1u)) >> 20;
      bits = sign | static_cast<uint8_t>(rounded - ((127 - 7) << 3));
    } else {
      // Multiples of 2^-9; 8 of them are the smallest normal, whose code is 8.
      bits = sign | static_cast<uint8_t>(std::lrint(std::bit_cast<float>(magnitude) * 512.0F));
    }
  }
  explicit operator float() const {
    const uint32_t sign = static_cast<uint32_t>(bits & 0x80u) << 24;
    const uint32_t magnitude = bits & 0x7fu;
    if (magnitude == 0x7f) return std::bit_cast<float>(sign | 0x7fc00000u);
    if (magnitude < 8) {
      const float value = static_cast<float>(magnitude) * 0x1p-9F;
      return sign != 0 ? -value : value;
    }
    return std::bit_cast<float>(sign | ((magnitude << 20) + ((127u - 7u) << 23)));
  }
};
static_assert(sizeof(E4M3) == 1);

// y[i] = x[i] * scale, the product in f32, rounded once more to bf16 where y is.
void DecodeE4M3(const E4M3* x, float scale, int64_t count, float* y);
void DecodeE4M3(const E4M3* x, float scale, int64_t count, BF16* y);
void DecodeE4M3(const E4M3* x, float scale, int64_t count, double* y);

// The largest of |x[i]|, as its bits, in whose order NaN comes after infinity and that after all
// numbers.
uint32_t LargestMagnitude(const float* x, int64_t count);

// y[i] = x[i] / scale.
void EncodeE4M3(const float* x, float scale, int64_t count, E4M3* y);

}  // namespace fathom
