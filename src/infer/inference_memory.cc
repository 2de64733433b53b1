#include "infer/inference_memory.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "backend/planning/planning_backend.h"
#include "base/log.h"
#include "infer/forward.h"

namespace fathom {

std::string InferenceMemory::ToString() const {
  const auto bytes = [](int64_t count) { return FormatBytes(static_cast<double>(count)); };
  return fmt::format("packed weights {} + cache {} + workspace {} = {}", bytes(packed),
                     bytes(cache), bytes(workspace + scratch), bytes(total()));
}

InferenceMemory PlanInference(const ModelConfig& config, Precision precision, ParameterStore& store,
                              const Context& device, int64_t cache_tokens, int64_t batch_tokens,
                              int64_t logit_rows) {
  PlanningBackend backend(*device.backend);
  Arena workspace(MemoryRole::kWorkspace, backend.allocator());
  Context context{&backend, device.pool, &workspace};
  Transformer transformer(config, precision, store, backend.allocator());
  transformer.Pack(context, AttentionForm::kAbsorbed, /*training=*/false);
  // The size of a cache has no influence on the workspace.
  KvCache cache(config, precision, batch_tokens, backend.allocator());
  const int64_t sequence = cache.NewSequence();
  FATHOM_CHECK(cache.Reserve(sequence, batch_tokens));
  const std::vector<int32_t> tokens(static_cast<size_t>(batch_tokens));
  std::vector<int32_t> rows(static_cast<size_t>(std::min(logit_rows, batch_tokens)));
  std::iota(rows.begin(), rows.end(), 0);
  const Tensor h = ForwardRows(context, transformer, cache, tokens,
                               {{.count = batch_tokens, .cache_id = sequence}}, rows);
  const Tensor logits =
      workspace.New(precision.sum, Shape({static_cast<int64_t>(rows.size()), config.vocab_size}));
  transformer.head().Logits(context, h, logits);
  return {.packed = static_cast<int64_t>(transformer.packed_bytes()),
          .cache = KvCache::Pages(cache_tokens) * KvCache::kPageTokens *
                   KvCache::BytesPerToken(config, precision),
          .workspace = static_cast<int64_t>(workspace.peak()),
          .scratch = device.pool->threads() * kKernelScratchOfThread};
}

}  // namespace fathom
