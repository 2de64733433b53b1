#include "plan/exchange.h"

#include <algorithm>
#include <cmath>

namespace fathom {

double ServersReached(const ModelConfig& config, const Accelerator& device,
                      int64_t expert_parallel) {
  const double servers =
      std::ceil(static_cast<double>(expert_parallel) / static_cast<double>(device.group_size()));
  if (servers <= 1) return 1;
  const double k = static_cast<double>(config.num_experts_per_tok);
  const double expected = servers * (1 - std::pow(1 - 1 / servers, k));
  if (config.n_group <= 1) return expected;
  return std::min(expected, static_cast<double>(config.topk_group));
}

SecondsPerToken ExpertExchange(const ModelConfig& config, const Accelerator& device,
                               int64_t expert_parallel, PlanPrecision precision) {
  if (expert_parallel <= 1 || config.n_routed_experts == 0) return SecondsPerToken(0);
  const double out = precision == PlanPrecision::kFp8 ? 1 : 2;
  const BytesPerToken row = Bytes((out + 2) * static_cast<double>(config.hidden_size)) / Tokens(1);
  const double servers = ServersReached(config, device, expert_parallel);
  const SecondsPerToken inside =
      static_cast<double>(config.num_experts_per_tok) * row / device.scale_up();
  if (servers <= 1) return inside;
  return std::max(inside, servers * row / device.scale_out());
}

}  // namespace fathom
