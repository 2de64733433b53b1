#include "train/throughput.h"

#include "model/parameters.h"

namespace fathom {

double TrainingFlops(const ModelConfig& config, double tokens, double attention_pairs,
                     bool frozen) {
  const ParameterCounts counts = CountParameters(config);
  const auto active = static_cast<double>(counts.active_matmul + counts.mtp_active_matmul);
  const auto pair_flops = static_cast<double>(config.total_layers() * config.num_attention_heads *
                                              (config.qk_dim() + config.v_dim()));
  return (frozen ? 4 : 6) * active * tokens + 6 * pair_flops * attention_pairs;
}

}  // namespace fathom
