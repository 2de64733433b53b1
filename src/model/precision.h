#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace fathom {

// clang-format off
// The recipe: what each role in a model is stored and computed in. Every layer reads it here.
//
//   role                                               f32   bf16  fp8
//   sum          residual stream, norm statistics,     f32   f32   f32
//                router, logits, masters, gradients
//   act          attention's core and its cache,       f32   bf16  bf16
//                output head, MTP's eh_proj, and
//                what enters and leaves products
//   projection   operands of the other products:       f32   bf16  E4M3, scales from the current
//                weights 128 x 128, activations and                largest magnitude; sums promoted
//                output gradients 1 x 128 (128 x 1                 to f32 every 128
//                for weight gradients)
//   norm_input   the residual stream as norms read     f32   f32   bf16
//                it, kept for backward
//   kept_swiglu  SwiGLU's inputs, kept for backward;   f32   bf16  E4M3
//                its output is computed again
//   kept_heads   attention's output, kept for          f32   bf16  E5M6
//                backward
//
// The last column is DeepSeek-V3's (report, sections 3.3.1 to 3.3.3), whose residual stream is bf16.
// With kE4M3Tensor it has one scale a tensor instead of tiles, to compare with: what a token is
// computed to then depends on the others in its batch.
// clang-format on
struct Precision {
  DType sum = DType::kF32;
  DType act = DType::kBF16;
  DType projection = DType::kBF16;
  DType norm_input = DType::kF32;
  DType kept_swiglu = DType::kBF16;
  DType kept_heads = DType::kBF16;

  // All in one type: f64 or f32.
  static Precision Uniform(DType type) { return {type, type, type, type, type, type}; }
  static Precision Double() { return Uniform(DType::kF64); }
  static Precision F32() { return Uniform(DType::kF32); }
  static Precision BF16() { return {}; }
  // kE4M3; kE4M3Ue8m0: scales that are powers of two; kE4M3Tensor: one scale a tensor.
  static Precision FP8(DType codes) {
    return {.projection = codes,
            .norm_input = DType::kBF16,
            .kept_swiglu = codes,
            .kept_heads = DType::kE5M6};
  }
  bool fp8() const { return IsQuantized(projection); }
};

// How latent attention is computed. Absorbed: queries are projected into the latent space and
// attend to the cached latents themselves. Expanded: keys and values are projected up for every
// head; fewer operations when many queries share them, other roundings. Inference uses
// the absorbed form alone, backward the expanded one. Grouped-query attention has one form and does
// not ask.
enum class AttentionForm : uint8_t { kAbsorbed, kExpanded };

}  // namespace fathom
