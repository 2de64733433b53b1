#pragma once

#include <cstdint>

#include "model/config.h"
#include "model/kv_cache.h"
#include "model/parameters.h"

namespace fathom {

// Bytes of the cache of one token: what the model's attention (latent or grouped-query) keeps when
// it computes in bf16, and what multi-head attention with the same heads would.
struct CacheSummary {
  // The main model's layers, as published figures count them (DeepSeek-V3: 70,272).
  int64_t own = 0;
  // The MTP modules' layers, on top, where they draft.
  int64_t own_mtp = 0;
  // Keys and values of every head without the rotary part, in bf16: 2 n_h d_h l of the DeepSeek-V2
  // report, Table 1.
  int64_t multi_head = 0;
};

// Throws UsageError when the model's attention has no cache of that format.
CacheSummary SummarizeCache(const ModelConfig& config, CacheFormat format = CacheFormat::kAct);

}  // namespace fathom
