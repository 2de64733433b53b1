#include "model/batch.h"

#include "base/error.h"
#include "ops/backend.h"

namespace fathom {

Tensor UploadIds(Context& context, Arena& arena, std::span<const int32_t> ids) {
  const Shape shape({static_cast<int64_t>(ids.size())});
  const Tensor tensor = arena.New(DType::kI32, shape);
  context.backend->CopyFromHost(ConstTensor(ids.data(), DType::kI32, shape), tensor);
  return tensor;
}

Batch MakeBatch(Context& context, Arena& arena, std::span<const int32_t> tokens,
                std::vector<BatchSequence> sequences) {
  Batch batch;
  batch.size = static_cast<int64_t>(tokens.size());
  std::vector<int32_t> positions, sequence_of;
  positions.reserve(tokens.size());
  sequence_of.reserve(tokens.size());
  for (size_t s = 0; s < sequences.size(); ++s) {
    const BatchSequence& sequence = sequences[s];
    FATHOM_CHECK(sequence.begin == static_cast<int64_t>(positions.size()) && sequence.count > 0);
    for (int64_t i = 0; i < sequence.count; ++i) {
      positions.push_back(static_cast<int32_t>(sequence.first_position + i));
      sequence_of.push_back(static_cast<int32_t>(s));
    }
  }
  FATHOM_CHECK(positions.size() == tokens.size(), "{} tokens in sequences, {} in the batch",
               positions.size(), tokens.size());
  batch.tokens = UploadIds(context, arena, tokens);
  batch.positions = UploadIds(context, arena, positions);
  batch.sequence_of = UploadIds(context, arena, sequence_of);
  batch.sequences = std::move(sequences);
  return batch;
}

}  // namespace fathom
