#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace fathom {

// IEEE 754 half precision: a type of files; tensors are not computed in it.
struct F16 {
  static constexpr float kLargest = 65504;

  uint16_t bits;

  F16() = default;
  // Round to nearest, ties to even; what rounds beyond 65504 is an infinity; a NaN stays a (quiet)
  // NaN.
  explicit F16(float value);
  // Exact; a NaN becomes quiet.
  explicit operator float() const;
};
static_assert(sizeof(F16) == 2);

// y[i] = x[i]; with the processor's own instructions where it has them. x and y may be unaligned.
void DecodeF16(const F16* x, int64_t count, float* y);
void DecodeF16(const F16* x, int64_t count, BF16* y);
void DecodeF16(const F16* x, int64_t count, double* y);
void EncodeF16(const float* x, int64_t count, F16* y);

}  // namespace fathom
