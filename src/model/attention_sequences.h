#pragma once

#include <span>
#include <vector>

#include "model/pass.h"

namespace fathom {

// What Backend::Attention takes of a batch: its sequences, each with the blocks its keys lie in.
class AttentionSequences {
 public:
  // Keys and values are rows of the batch itself, [tokens, kv_heads, d]; every sequence starts at
  // position 0.
  AttentionSequences(const Batch& batch, ConstTensor keys, ConstTensor values);
  // Of the pass's cache where there is one (decoded into the workspace if need be), otherwise as
  // above.
  AttentionSequences(Context& context, const Pass& pass, int64_t layer, ConstTensor keys,
                     ConstTensor values);

  std::span<const AttentionSequence> span() const { return sequences_; }

 private:
  void Add(const BatchSequence& sequence, std::vector<KeyBlock> blocks);

  std::vector<std::vector<KeyBlock>> blocks_;  // by sequence
  std::vector<AttentionSequence> sequences_;
};

}  // namespace fathom
