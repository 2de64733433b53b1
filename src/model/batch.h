#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ops/context.h"
#include "tensor/tensor.h"

namespace fathom {

// Consecutive tokens of one sequence in a batch.
struct BatchSequence {
  int64_t begin = 0;  // rows [begin, begin + count) of the batch
  int64_t count = 0;
  int64_t first_position = 0;  // absolute position of the first of them
  // The pages of the cache that hold its positions from 0 on, these tokens' included; empty without
  // a cache. Not owned.
  std::span<const int32_t> pages;
};

// A flat list of tokens, each with its sequence and its absolute position: a prefill, a chunk of
// one, decode steps of many sequences, drafts to verify, packed training documents, or any mixture.
struct Batch {
  int64_t size = 0;
  Tensor tokens;       // i32 [size]
  Tensor positions;    // i32 [size]
  Tensor sequence_of;  // i32 [size], ascending
  std::vector<BatchSequence> sequences;
};

// i32 [ids], in memory of the arena.
Tensor UploadIds(Context& context, Arena& arena, std::span<const int32_t> ids);

// The batch's tensors are allocated in `arena`. `tokens` are in the order of `sequences`, which
// cover them from 0 on without gaps.
Batch MakeBatch(Context& context, Arena& arena, std::span<const int32_t> tokens,
                std::vector<BatchSequence> sequences);

}  // namespace fathom
