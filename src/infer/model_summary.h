#pragma once

#include <cstdint>

#include "model/config.h"
#include "model/parameters.h"

namespace fathom {

// The cache of one token, in elements: what the model's attention (latent or grouped-query) keeps,
// and what multi-head attention with the same heads would.
struct CacheSummary {
  // The main model's layers, as published figures count them (DeepSeek-V3: 35,136 elements, 70,272
  // bytes in bf16).
  int64_t own = 0;
  // The MTP modules' layers, on top, where they draft.
  int64_t own_mtp = 0;
  // Keys and values of every head without the rotary part: 2 n_h d_h l of the DeepSeek-V2 report,
  // Table 1.
  int64_t multi_head = 0;
};

CacheSummary SummarizeCache(const ModelConfig& config);

}  // namespace fathom
