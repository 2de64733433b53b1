#include "infer/model_summary.h"

namespace fathom {

CacheSummary SummarizeCache(const ModelConfig& config) {
  const int64_t head =
      config.latent_attention() ? config.qk_nope_head_dim + config.v_head_dim : 2 * config.head_dim;
  return {.own = config.num_hidden_layers * config.cache_row_dim(),
          .own_mtp = config.num_nextn_predict_layers * config.cache_row_dim(),
          .multi_head = config.num_hidden_layers * config.num_attention_heads * head};
}

}  // namespace fathom
