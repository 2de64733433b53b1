#include "model/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace fathom {
namespace {

// m(s) above; 1 for factors that do not extend the context.
double MagnitudeScale(double factor, double mscale) {
  return factor <= 1 ? 1 : 0.1 * mscale * std::log(factor) + 1;
}

}  // namespace

RopeParameters MakeRopeParameters(const ModelConfig& config) {
  const int64_t dim = config.qk_rope_head_dim;
  const int64_t pairs = dim / 2;
  RopeParameters rope;
  for (int64_t j = 0; j < pairs; ++j) {
    rope.inv_freq.push_back(
        std::pow(config.rope_theta, -2.0 * static_cast<double>(j) / static_cast<double>(dim)));
  }
  rope.softmax_scale = 1 / std::sqrt(static_cast<double>(config.qk_head_dim()));
  if (!config.yarn) return rope;

  const YarnScaling& yarn = *config.yarn;
  // The (fractional) pair that turns `rotations` times within the original context.
  const auto pair_of_rotations = [&](double rotations) {
    const double context = static_cast<double>(yarn.original_max_position_embeddings);
    return static_cast<double>(dim) * std::log(context / (rotations * 2 * std::numbers::pi)) /
           (2 * std::log(config.rope_theta));
  };
  const double low = std::max(std::floor(pair_of_rotations(yarn.beta_fast)), 0.0);
  double high =
      std::min(std::ceil(pair_of_rotations(yarn.beta_slow)), static_cast<double>(dim - 1));
  if (low == high) high += 0.001;  // as the original: no division by zero
  for (int64_t j = 0; j < pairs; ++j) {
    const double ramp = std::clamp((static_cast<double>(j) - low) / (high - low), 0.0, 1.0);
    rope.inv_freq[static_cast<size_t>(j)] *= ramp / yarn.factor + (1 - ramp);
  }
  if (yarn.mscale_all_dim != 0) {
    const double all_dim = MagnitudeScale(yarn.factor, yarn.mscale_all_dim);
    rope.table_scale = MagnitudeScale(yarn.factor, yarn.mscale) / all_dim;
    rope.softmax_scale *= all_dim * all_dim;
  } else {
    rope.table_scale = MagnitudeScale(yarn.factor, 1);
  }
  return rope;
}

}  // namespace fathom
