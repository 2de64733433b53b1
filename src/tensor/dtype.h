#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace fathom {

// The element types that tensors are computed in and that files hold.
enum class DType : uint8_t {
  kF64,   // the oracle of every test
  kF32,   // master weights, gradients, sums
  kBF16,  // compute copies, activations, caches
  kI32,   // token ids, positions, expert ids
  // Types of quantised rows: codes, and a scale for every kScaleTile of them (tensor/quantize.h).
  kE4M3,        // operands of FP8 products; the scale is the tile's largest magnitude / 448
  kE4M3Ue8m0,   // the same with scales that are powers of two
  kE4M3Tensor,  // the same with one scale for the whole of a tensor, in every tile
  kE5M6,        // what is kept of attention's output (V3 report, section 3.3.3); powers of two
  // Types of packed weights only: GGUF's blocks of codes (tensor/block_formats.h), multiplied as
  // they are.
  kQ8_0,
  kQ4_0,
  kQ4K,
  kQ6K,
};

constexpr bool IsQuantized(DType dtype) { return dtype >= DType::kE4M3 && dtype <= DType::kE5M6; }
constexpr bool IsBlockCoded(DType dtype) { return dtype >= DType::kQ8_0; }
constexpr bool IsE4M3(DType dtype) {
  return dtype == DType::kE4M3 || dtype == DType::kE4M3Ue8m0 || dtype == DType::kE4M3Tensor;
}

// Bytes of an element; 1 for quantised types, whose rows have strides in bytes. Fatal for
// block-coded ones.
size_t SizeOf(DType dtype);
// "f64", "f32", "bf16", "i32", "e4m3", "e4m3-ue8m0", "e4m3-tensor", "e5m6", "q8_0", "q4_0", "q4_k",
// "q6_k".
std::string_view Name(DType dtype);

// bfloat16: the upper half of an IEEE single.
struct BF16 {
  uint16_t bits;

  BF16() = default;
  // Round to nearest, ties to even; a NaN stays a (quiet) NaN. The source may be double: it is
  // rounded to f32 first, as the hardware path does.
  explicit BF16(float value) {
    const auto word = std::bit_cast<uint32_t>(value);
    if ((word & 0x7fffffffu) > 0x7f800000u) {
      bits = static_cast<uint16_t>((word >> 16) | 0x0040u);
    } else {
      bits = static_cast<uint16_t>((word + 0x7fffu + ((word >> 16) & 1u)) >> 16);
    }
  }
  explicit operator float() const {
    return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
  }
};
static_assert(sizeof(BF16) == 2);

template <typename T>
struct DTypeOf;
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::kF64;
};
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::kF32;
};
template <>
struct DTypeOf<BF16> {
  static constexpr DType value = DType::kBF16;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType value = DType::kI32;
};

}  // namespace fathom
