#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <span>

#include "tensor/dtype.h"
#include "tensor/float8.h"

namespace fathom {

// Quantisation by tiles, as DeepSeek-V3 trains (report, section 3.3.2): elements that share a scale
// are rounded to codes of value x / scale, the scale chosen from the tile's current largest
// magnitude. These functions define the numbers; backends compute the same ones faster.

// Elements along a row (or along tokens, or a side of a weight's square block) that share a scale.
inline constexpr int64_t kScaleTile = 128;

// A float of 12 bits: sign, 5 bits of exponent (bias 15), 6 of mantissa, subnormals: f16 with four
// bits of mantissa less. Beyond its largest value it stays there.
struct E5M6 {
  static constexpr float kLargest = 65024;

  uint16_t bits;  // of 12

  E5M6() = default;
  explicit E5M6(float value);
  explicit operator float() const;
};

// Code values: the largest of a quantised type.
constexpr float LargestCode(DType dtype) {
  return dtype == DType::kE5M6 ? E5M6::kLargest : E4M3::kLargest;
}

// The scale of a tile from its largest magnitude (f32; not finite: NaN, and so is all that is made
// of it; 0: 1): largest / LargestCode, for kE4M3 and kE4M3Tensor rounded to nearest, else to the
// next power of two.
float TileScale(DType dtype, float largest);

// x / scale as a code's value: x times the scale's reciprocal (both f32), rounded to nearest even.
float RoundToCode(DType dtype, float x, float scale);

// A quantised row of d elements lies in memory as its codes, then zero to three bytes, then one f32
// scale a tile. E4M3: a byte a code. E5M6, tile by tile of n elements: the upper 8 bits of each,
// then the lower 4, that of element j beside that of j + ceil(n / 2), j's in the lower half of the
// byte.
int64_t QuantizedRowBytes(DType dtype, int64_t d);
int64_t QuantizedScalesOffset(DType dtype, int64_t d);

// Between a row in f32 and a quantised one. Every scale is chosen as if its tile held `at_least`
// too: with the largest magnitude of the whole tensor, that is kE4M3Tensor.
void QuantizeRow(DType dtype, std::span<const float> x, void* row, float at_least = 0);
void DequantizeRow(DType dtype, const void* row, std::span<float> y);

// ---- Activations of products with block-coded weights
//
// Every ActivationBlock(type) elements of a row (32 for Q8_0 and Q4_0, 256 for Q4_K and Q6_K, from
// its first) become integers in [-127, 127] with one scale.

constexpr int64_t ActivationBlock(DType weights) {
  return weights == DType::kQ8_0 || weights == DType::kQ4_0 ? 32 : 256;
}
// Of a block from its largest magnitude, as TileScale: largest / 127, at least 2^-120.
float IntegerScale(float largest);
// x times the scale's reciprocal (both f32) to the nearest integer, halves to even; 0 where the
// scale is NaN.
int RoundToInteger(float x, float scale);

}  // namespace fathom
