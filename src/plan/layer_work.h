#pragma once

#include "plan/architecture.h"
#include "plan/hardware.h"
#include "plan/units.h"

namespace fathom {

// The three parts that a layer's training step is made of; inference is kForward alone.
enum class Phase : uint8_t { kForward, kBackwardInput, kBackwardWeight };

// Time of one device for one layer, by what bounds it.
struct WorkTime {
  Seconds products;     // matrix products (compute, or reading weights)
  Seconds attention;    // the core
  Seconds elementwise;  // norms, rotation, quantisation, activations, routing: memory traffic
  Seconds total() const { return products + attention + elementwise; }
  WorkTime operator*(double factor) const {
    return {products * factor, attention * factor, elementwise * factor};
  }
  WorkTime& operator+=(const WorkTime& other) {
    products += other.products;
    attention += other.attention;
    elementwise += other.elementwise;
    return *this;
  }
};

// What a device does for a layer in one go.
struct WorkShape {
  PlanPrecision precision = PlanPrecision::kFp8;
  double tokens = 4096;          // of this device
  double keys = 2048;            // that a query meets on average
  double expert_parallel = 1;    // devices that share the routed experts
  double expert_replicas = 1;    // hosted experts / routed experts: 1, more with redundant ones
  double tensor_parallel = 1;    // devices that share every product and head, and the tokens of
                                 // everything else (sequence parallel)
  double queries_per_cache = 1;  // of a sequence, that read its cache together (drafts)
  bool communicates = true;      // some processors move data meanwhile
  bool accumulates = false;      // weight gradients are added up in f32
  AttentionForm form = AttentionForm::kExpanded;
};

// A product of m rows takes max(operations / (peak x measured share for its n and k), bytes /
// (bandwidth x measured share)). Experts are balanced: each device computes tokens x top-k expert
// rows over the experts that it hosts. The attention core takes max(operations, cache bytes) at
// FlashAttention's count: backward is 2.5 times forward (scores are made again). Elementwise work
// is counted in bytes, operation by operation (docs/economics.md has the table).
WorkTime LayerTime(const Architecture& architecture, const LayerShape& layer,
                   const Accelerator& device, const Kernels& kernels, const WorkShape& shape,
                   Phase phase);
// The product with one matrix; the head and eh_proj are bf16 whatever the recipe.
Seconds ProductTime(const MatrixProduct& product, double rows, double copies,
                    const Accelerator& device, const Kernels& kernels, PlanPrecision precision,
                    bool communicates);
// Devices that a sequence's cache is spread over: heads of keys and values are, a latent that all
// heads read is not.
double CacheShare(const ModelConfig& config, double tensor_parallel);
// Memory traffic of the elementwise operations of one token in one layer, forward.
BytesPerToken ElementwiseBytes(const ModelConfig& config, bool moe, PlanPrecision precision);

}  // namespace fathom
