#pragma once

#include <vector>

#include "model/batch.h"
#include "model/expert_load.h"
#include "model/kv_cache.h"
#include "model/precision.h"

namespace fathom {

// What all layers of one forward (and its backward) have in common.
struct Pass {
  const Batch* batch = nullptr;
  Tensor rope_table;  // sum type [tokens, rope_dim]
  // Null: every sequence starts at position 0 and attends to this batch alone.
  KvCache* cache = nullptr;
  AttentionForm form = AttentionForm::kAbsorbed;
  double balance_alpha = 0;  // of the sequence-wise balance loss; 0: without
  Tensor balance_group;      // i32 [tokens], ascending: the sequence in the sense of that loss
  int64_t balance_groups = 0;
  ExpertLoad* expert_load = nullptr;  // not null: what experts get is added to it
};

// Where a layer puts its activations: `kept` lives until backward (or, in inference, until the
// layer is done), and so does `recomputable` unless norms and up-projections are recomputed.
struct ActivationArenas {
  Arena* kept;
  Arena* recomputable;
};

}  // namespace fathom
