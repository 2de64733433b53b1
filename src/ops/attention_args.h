#pragma once

#include <cstdint>
#include <span>

#include "tensor/tensor.h"

namespace fathom {

// Some keys and values of one sequence that lie together: a page of the cache, or all of a sequence
// being trained.
struct KeyBlock {
  ConstTensor keys;  // [rows, kv_heads, d_qk]
  // [rows, kv_heads, d_v]; for latent attention a view of the first columns of `keys`.
  ConstTensor values;
};

// One sequence of a batch: its queries are rows [query_begin, query_begin + query_count) of q, at
// absolute positions first_position, first_position + 1, ...; its keys, position 0 upward, are the
// rows of its blocks one after the other (rows past the last query's position are not read).
struct AttentionSequence {
  int64_t query_begin = 0;
  int64_t query_count = 0;
  int64_t first_position = 0;
  std::span<const KeyBlock> blocks;
};

// Keys are taken in chunks of this many absolute positions, each with its own (maximum, sum,
// output); the chunks are merged in ascending order on every path. Part of the numerics contract.
inline constexpr int64_t kAttentionChunk = 256;

}  // namespace fathom
