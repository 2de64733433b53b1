#include "infer/model_summary.h"

namespace fathom {

CacheSummary SummarizeCache(const ModelConfig& config) {
  return {.latent = config.num_hidden_layers * config.latent_dim(),
          .latent_mtp = config.num_nextn_predict_layers * config.latent_dim(),
          .multi_head = config.num_hidden_layers * config.num_attention_heads *
                        (config.qk_nope_head_dim + config.v_head_dim)};
}

}  // namespace fathom
