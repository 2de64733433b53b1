#pragma once

#include <algorithm>

#include "backend/cpu/work.h"
#include "ops/attention_args.h"

namespace fathom::cpu {

// The keys and values of a sequence for one kv head, by absolute position, whatever blocks they lie
// in.
class SequenceKeys {
 public:
  SequenceKeys(const AttentionSequence& sequence, int64_t kv_head)
      : blocks_(sequence.blocks), kv_head_(kv_head) {}

  // The rows of positions [begin, begin + count). Not called with descending begins.
  void Rows(int64_t begin, int64_t count, const void** keys, const void** values) {
    int64_t done = 0;
    while (done < count) {
      FATHOM_CHECK(block_ < blocks_.size(), "{} keys are missing", count - done);
      const KeyBlock& block = blocks_[block_];
      const int64_t rows = block.keys.dim(0), at = begin + done - block_begin_;
      if (at >= rows) {
        block_begin_ += rows;
        ++block_;
        continue;
      }
      const int64_t here = std::min(rows - at, count - done);
      Fill(block.keys, at, here, keys + done);
      Fill(block.values, at, here, values + done);
      done += here;
    }
  }
  // Starts again from position 0.
  void Rewind() { block_ = 0, block_begin_ = 0; }

 private:
  void Fill(const ConstTensor& x, int64_t begin, int64_t count, const void** rows) const {
    const auto* first = static_cast<const std::byte*>(At(x, begin, kv_head_));
    const int64_t stride = x.stride(0) * static_cast<int64_t>(fathom::SizeOf(x.dtype()));
    for (int64_t i = 0; i < count; ++i) rows[i] = first + i * stride;
  }

  std::span<const KeyBlock> blocks_;
  int64_t kv_head_;
  size_t block_ = 0;
  int64_t block_begin_ = 0;
};

// What attention is computed over; aborts when the shapes do not fit.
struct AttentionShape {
  Element type = Element::kF32;  // of keys and values, and of the products
  int64_t heads = 0, kv_heads = 0, group = 0, d_qk = 0, d_v = 0;

  static AttentionShape Of(const ConstTensor& q, const AttentionSequence& sequence, int64_t d_v) {
    FATHOM_CHECK(q.rank() == 3 && !sequence.blocks.empty() && sequence.query_begin >= 0 &&
                 sequence.query_begin + sequence.query_count <= q.dim(0));
    const ConstTensor& keys = sequence.blocks[0].keys;
    AttentionShape shape{ElementOf(keys), q.dim(1), keys.dim(1), 0, q.dim(2), d_v};
    FATHOM_CHECK(shape.kv_heads > 0 && shape.heads % shape.kv_heads == 0, "{} heads over {}",
                 shape.heads, shape.kv_heads);
    shape.group = shape.heads / shape.kv_heads;
    for (const KeyBlock& block : sequence.blocks) {
      CheckShape(block.keys, {block.keys.dim(0), shape.kv_heads, shape.d_qk}, "keys");
      CheckShape(block.values, {block.keys.dim(0), shape.kv_heads, d_v}, "values");
      FATHOM_CHECK(block.keys.dtype() == keys.dtype() && block.values.dtype() == keys.dtype());
    }
    return shape;
  }
};

}  // namespace fathom::cpu
