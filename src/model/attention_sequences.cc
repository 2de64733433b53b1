#include "model/attention_sequences.h"

#include "base/error.h"

namespace fathom {

AttentionSequences::AttentionSequences(const Batch& batch, ConstTensor keys, ConstTensor values) {
  for (const BatchSequence& sequence : batch.sequences) {
    FATHOM_CHECK(sequence.first_position == 0, "without a cache a sequence starts at position 0");
    const int64_t end = sequence.begin + sequence.count;
    Add(sequence, {{keys.Rows(sequence.begin, end), values.Rows(sequence.begin, end)}});
  }
}

AttentionSequences::AttentionSequences(Context& context, const Pass& pass, int64_t layer,
                                       ConstTensor keys, ConstTensor values) {
  if (pass.cache == nullptr) {
    *this = AttentionSequences(*pass.batch, keys, values);
    return;
  }
  std::vector<std::vector<KeyBlock>> blocks = pass.cache->Blocks(context, layer, *pass.batch);
  for (size_t i = 0; i < blocks.size(); ++i) Add(pass.batch->sequences[i], std::move(blocks[i]));
}

// The blocks' memory stays where it is when the outer vector grows or is moved.
void AttentionSequences::Add(const BatchSequence& sequence, std::vector<KeyBlock> blocks) {
  blocks_.push_back(std::move(blocks));
  sequences_.push_back({sequence.begin, sequence.count, sequence.first_position, blocks_.back()});
}

}  // namespace fathom
