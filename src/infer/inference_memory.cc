#include "infer/inference_memory.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "backend/planning/planning_backend.h"
#include "base/log.h"
#include "infer/forward.h"
#include "infer/mtp_drafter.h"
#include "infer/transformer_executor.h"

namespace fathom {

std::string InferenceMemory::ToString() const {
  const auto bytes = [](int64_t count) { return FormatBytes(static_cast<double>(count)); };
  return fmt::format("packed weights {} + cache {} + workspace {} = {}", bytes(packed),
                     bytes(cache), bytes(workspace + scratch), bytes(total()));
}

InferenceMemory PlanInference(const ModelConfig& config, Precision precision, ParameterStore& store,
                              const Context& device, const InferenceSize& size) {
  PlanningBackend backend(*device.backend);
  Arena workspace(MemoryRole::kWorkspace, backend.allocator());
  Context context{&backend, device.pool, &workspace};
  Transformer transformer(config, precision, store, backend.allocator());
  transformer.Pack(context, AttentionForm::kAbsorbed, /*training=*/false);
  // One sequence that fills the batch. How many pages there are has no influence on the workspace,
  // but for those that attention has decoded: in the worst case all of them.
  const int64_t pages = KvCache::Pages(size.batch_tokens);
  KvCache cache(config, precision, CacheFormat::kAct, pages, backend.allocator());
  std::vector<int32_t> page_list(static_cast<size_t>(pages));
  std::iota(page_list.begin(), page_list.end(), 0);
  const std::vector<int32_t> tokens(static_cast<size_t>(size.batch_tokens));
  // Drafting wants the hidden states of all tokens.
  const bool drafts = !transformer.mtp().empty();
  std::vector<int32_t> rows(static_cast<size_t>(
      drafts ? size.batch_tokens : std::min(size.logit_rows, size.batch_tokens)));
  std::iota(rows.begin(), rows.end(), 0);
  const Tensor h = ForwardRows(context, transformer, cache, tokens,
                               {{.count = size.batch_tokens, .pages = page_list}}, rows);
  const Tensor logits = workspace.New(
      precision.sum, Shape({std::min({kLogitRows, size.logit_rows, size.batch_tokens}),
                            transformer.head().vocab_size()}));
  transformer.head().Logits(context, h.Rows(0, logits.dim(0)), logits);
  if (drafts) {
    DraftState state;
    const Piece piece{.tokens = tokens, .pages = page_list, .draft = &state};
    std::vector<PieceResult> results(1);
    MtpDrafter(context, transformer, cache).Draft({&piece, 1}, h, results);
  }
  const int64_t cache_tokens = size.pages * KvCache::kPageTokens;
  const int64_t decoded =
      size.format == CacheFormat::kAct
          ? 0
          : cache_tokens * config.latent_dim() * static_cast<int64_t>(SizeOf(precision.act));
  return {.packed = static_cast<int64_t>(transformer.packed_bytes()),
          .cache = cache_tokens * KvCache::BytesPerToken(config, precision, size.format),
          .workspace = static_cast<int64_t>(workspace.peak()) + decoded,
          .scratch = device.pool->threads() * kKernelScratchOfThread};
}

}  // namespace fathom
