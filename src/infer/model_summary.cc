#include "infer/model_summary.h"

namespace fathom {

CacheSummary SummarizeCache(const ModelConfig& config, CacheFormat format) {
  const int64_t layer =
      KvCache::BytesPerToken(config, Precision::BF16(), format) / config.total_layers();
  const int64_t head =
      config.latent_attention() ? config.qk_nope_head_dim + config.v_head_dim : 2 * config.head_dim;
  return {.own = config.num_hidden_layers * layer,
          .own_mtp = config.num_nextn_predict_layers * layer,
          .multi_head = static_cast<int64_t>(sizeof(BF16)) * config.num_hidden_layers *
                        config.num_attention_heads * head};
}

}  // namespace fathom
