#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/transformer.h"

namespace fathom {

// Runs a batch through the model in the absorbed form (exact mode), writing its keys to the cache,
// and returns what the head reads of some of its rows: act [rows, hidden], after the final norm, in
// the context's workspace. `rows` index the batch; `tokens` and `sequences` as for MakeBatch, with
// their pages. expert_load: what experts get is added to it; may be null.
Tensor ForwardRows(Context& context, const Transformer& transformer, KvCache& cache,
                   std::span<const int32_t> tokens, std::vector<BatchSequence> sequences,
                   std::span<const int32_t> rows, ExpertLoad* expert_load = nullptr);

// An f32 tensor's elements, on the host.
std::vector<float> Download(Context& context, ConstTensor x);

}  // namespace fathom
