#pragma once

#include "model/config.h"
#include "ops/context.h"

namespace fathom {

// Model FLOPs of training on `tokens` tokens whose attention looks at `attention_pairs` query-key
// pairs: 6 for every active parameter that is multiplied with, and 6 (qk_dim + v_dim)
// heads for every pair and layer. Causal, and without what recomputation adds; MTP modules are
// counted as run. The numerator of model FLOPs utilisation. frozen: beside adapters, where no
// weight has a gradient: 4 for every parameter; adapters' own products are not counted.
double TrainingFlops(const ModelConfig& config, double tokens, double attention_pairs,
                     bool frozen = false);

}  // namespace fathom
