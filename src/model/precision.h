#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace fathom {

// What a model computes in. `act` is the type of packed weights, of what enters and leaves matrix
// products and of the cache; `sum` that of the residual stream, norm statistics, router, logits,
// master weights and gradients.
struct Precision {
  DType act = DType::kBF16;
  DType sum = DType::kF32;

  static Precision Double() { return {DType::kF64, DType::kF64}; }
  static Precision F32() { return {DType::kF32, DType::kF32}; }
  static Precision BF16() { return {DType::kBF16, DType::kF32}; }
};

// How latent attention is computed. Absorbed: queries are projected into the latent space and
// attend to the cached latents themselves. Expanded: keys and values are projected up for every
// head; fewer operations when many queries share them, other roundings. Inference uses
// the absorbed form alone. Grouped-query attention has one form and does not ask.
enum class AttentionForm : uint8_t { kAbsorbed, kExpanded };

}  // namespace fathom
