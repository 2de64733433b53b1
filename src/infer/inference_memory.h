#pragma once

#include <cstdint>
#include <string>

#include "model/parameters.h"
#include "model/precision.h"
#include "ops/backend.h"

namespace fathom {

// What the kernels of a thread may keep for themselves, outside all arenas.
constexpr int64_t kKernelScratchOfThread = int64_t{4} << 20;

// Bytes that inference takes beside the mapped files, whose pages the system can drop.
struct InferenceMemory {
  int64_t packed = 0;     // the weights as the backend multiplies with them
  int64_t cache = 0;      // keys of cache_tokens tokens, in whole pages
  int64_t workspace = 0;  // activations of one batch and its logits
  int64_t scratch = 0;    // of the kernels, all threads

  int64_t total() const { return packed + cache + workspace + scratch; }
  // "packed weights 1.2 GiB + cache 120 MiB + workspace 60.0 MiB = 1.4 GiB"
  std::string ToString() const;
};

// Found by running a batch without computing it (backend/planning). `store` has the model's values
// (their contents are not read); batch_tokens: the most tokens that are computed at a time;
// logit_rows: the most of them whose logits are.
InferenceMemory PlanInference(const ModelConfig& config, Precision precision, ParameterStore& store,
                              const Context& device, int64_t cache_tokens, int64_t batch_tokens,
                              int64_t logit_rows);

}  // namespace fathom
