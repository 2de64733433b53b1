#include "infer/inference_memory.h"

#include <algorithm>

#include "base/log.h"
#include "model/latent_cache.h"

namespace fathom {
namespace {

int64_t PackedWeights(const ModelConfig& c, Precision precision, const Backend& backend) {
  const auto act = [&](int64_t n, int64_t k) {
    return static_cast<int64_t>(backend.PackedBytes(precision.act, n, k));
  };
  const auto mlp = [&](int64_t width) {
    return act(2 * width, c.hidden_size) + act(c.hidden_size, width);
  };
  const int64_t heads = c.num_attention_heads, nope = c.qk_nope_head_dim, v = c.v_head_dim;
  const int64_t queries = heads * c.qk_head_dim();
  int64_t attention = act(heads * (nope + v), c.kv_lora_rank) +
                      heads * (act(c.kv_lora_rank, nope) + act(v, c.kv_lora_rank)) +
                      act(c.hidden_size, heads * v);
  if (c.q_lora_rank > 0) {
    attention += act(c.q_lora_rank + c.latent_dim(), c.hidden_size) + act(queries, c.q_lora_rank);
  } else {
    attention += act(queries + c.latent_dim(), c.hidden_size);
  }
  int64_t experts = 0;
  if (c.n_routed_experts > 0) {
    experts =
        c.n_routed_experts * mlp(c.moe_intermediate_size) +
        static_cast<int64_t>(backend.PackedBytes(precision.sum, c.n_routed_experts, c.hidden_size));
    if (c.n_shared_experts > 0) experts += mlp(c.n_shared_experts * c.moe_intermediate_size);
  }
  int64_t bytes = act(c.vocab_size, c.hidden_size);
  for (int64_t layer = 0; layer < c.total_layers(); ++layer) {
    bytes += attention + (c.IsMoeLayer(layer) ? experts : mlp(c.intermediate_size));
  }
  return bytes + c.num_nextn_predict_layers * act(c.hidden_size, 2 * c.hidden_size);
}

// Elements of one token at the widest point of a layer (decoder_layer.h, mla.h, moe.h), all of them
// counted as if they lived at the same time.
int64_t ActivationBytesPerToken(const ModelConfig& c, Precision precision) {
  const auto act = static_cast<int64_t>(SizeOf(precision.act));
  const auto sum = static_cast<int64_t>(SizeOf(precision.sum));
  const int64_t heads = c.num_attention_heads;
  const int64_t attention =
      act * (c.q_lora_rank * 2 + c.latent_dim() * 2 +
             heads * (2 * c.qk_head_dim() + c.latent_dim() + c.kv_lora_rank + c.v_head_dim));
  const int64_t dense = act * 3 * c.intermediate_size;
  const int64_t experts =
      c.num_experts_per_tok *
          (act * (3 * c.moe_intermediate_size + c.hidden_size) + sum * (c.hidden_size + 2)) +
      act * 3 * c.n_shared_experts * c.moe_intermediate_size +
      sum * (2 * c.n_routed_experts + c.hidden_size);
  return sum * (c.hidden_size * 2 + c.qk_rope_head_dim) + act * c.hidden_size * 3 + attention +
         std::max(dense, c.n_routed_experts > 0 ? experts : 0);
}

}  // namespace

std::string InferenceMemory::ToString() const {
  const auto bytes = [](int64_t count) { return FormatBytes(static_cast<double>(count)); };
  return fmt::format("packed weights {} + cache {} + workspace {} = {}", bytes(packed),
                     bytes(cache), bytes(workspace), bytes(total()));
}

InferenceMemory EstimateInferenceMemory(const ModelConfig& config, Precision precision,
                                        const Backend& backend, int64_t cache_tokens,
                                        int64_t batch_tokens, int64_t logit_rows) {
  constexpr int64_t kPage = LatentCache::kPageTokens;
  // For the backend's own scratch memory.
  constexpr int64_t kScratch = int64_t{8} << 20;
  return {
      .packed = PackedWeights(config, precision, backend),
      .cache = (cache_tokens + kPage - 1) / kPage * kPage *
               LatentCache::BytesPerToken(config, precision),
      .workspace = batch_tokens * ActivationBytesPerToken(config, precision) +
                   logit_rows * config.vocab_size * static_cast<int64_t>(SizeOf(precision.sum)) +
                   kScratch};
}

}  // namespace fathom
