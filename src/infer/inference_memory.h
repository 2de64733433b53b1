#pragma once

#include <cstdint>
#include <string>

#include "model/kv_cache.h"
#include "model/parameters.h"
#include "model/precision.h"
#include "ops/backend.h"

namespace fathom {

// What the kernels of a thread may keep for themselves, outside all arenas.
constexpr int64_t kKernelScratchOfThread = int64_t{4} << 20;

// Bytes that inference takes beside the mapped files, whose pages the system can drop.
struct InferenceMemory {
  int64_t packed = 0;     // the weights as the backend multiplies with them
  int64_t cache = 0;      // the pages
  int64_t workspace = 0;  // activations of one batch and its logits
  int64_t scratch = 0;    // of the kernels, all threads

  int64_t total() const { return packed + cache + workspace + scratch; }
  // "packed weights 1.2 GiB + cache 120 MiB + workspace 60.0 MiB = 1.4 GiB"
  std::string ToString() const;
};

// What an engine is to have room for.
struct InferenceSize {
  int64_t pages = 0;  // of the cache
  CacheFormat format = CacheFormat::kAct;
  int64_t batch_tokens = 0;  // the most tokens that are computed at a time
  int64_t logit_rows = 0;    // the most of them whose logits are
};

// Found by running a batch without computing it (backend/planning). `store` has the model's values
// (their contents are not read).
InferenceMemory PlanInference(const ModelConfig& config, Precision precision, ParameterStore& store,
                              const Context& device, const InferenceSize& size);

}  // namespace fathom
