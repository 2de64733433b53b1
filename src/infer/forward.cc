#include "infer/forward.h"

#include "ops/backend.h"

namespace fathom {

std::vector<float> Download(Context& context, ConstTensor x) {
  FATHOM_CHECK(x.dtype() == DType::kF32);
  std::vector<float> values(static_cast<size_t>(x.elements()));
  context.backend->CopyToHost(x, Tensor(values.data(), DType::kF32, x.shape()));
  return values;
}

Tensor ForwardRows(Context& context, const Transformer& transformer, KvCache& cache,
                   std::span<const int32_t> tokens, std::vector<BatchSequence> sequences,
                   std::span<const int32_t> rows, ExpertLoad* expert_load) {
  const Precision precision = transformer.precision();
  const auto count = static_cast<int64_t>(rows.size());
  const int64_t hidden = transformer.config().hidden_size;
  Arena& workspace = *context.workspace;
  const Tensor h = workspace.New(precision.act, Shape({count, hidden}));
  ArenaScope scope(workspace);
  const Batch batch = MakeBatch(context, workspace, tokens, std::move(sequences));
  Pass pass = transformer.MakePass(context, batch, &cache, AttentionForm::kAbsorbed, workspace);
  pass.expert_load = expert_load;
  const Tensor x = transformer.Forward(context, pass, nullptr);
  if (count == 0) return h;
  const Tensor wanted = workspace.New(precision.sum, Shape({count, hidden}));
  context.backend->GatherRows(context, x, UploadIds(context, workspace, rows), wanted);
  transformer.FinalNorm(context, wanted, h, Tensor());
  return h;
}

}  // namespace fathom
