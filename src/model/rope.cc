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

void Apply(const YarnScaling& yarn, const ModelConfig& config, RopeParameters& rope) {
  const auto dim = static_cast<double>(config.rope_dim());
  // The (fractional) pair that turns `rotations` times within the original context.
  const auto pair_of_rotations = [&](double rotations) {
    const auto context = static_cast<double>(yarn.original_max_position_embeddings);
    return dim * std::log(context / (rotations * 2 * std::numbers::pi)) /
           (2 * std::log(config.rope_theta));
  };
  const double low = std::max(std::floor(pair_of_rotations(yarn.beta_fast)), 0.0);
  double high = std::min(std::ceil(pair_of_rotations(yarn.beta_slow)), dim - 1);
  if (low == high) high += 0.001;  // as the original: no division by zero
  for (size_t j = 0; j < rope.inv_freq.size(); ++j) {
    const double ramp = std::clamp((static_cast<double>(j) - low) / (high - low), 0.0, 1.0);
    rope.inv_freq[j] *= ramp / yarn.factor + (1 - ramp);
  }
  const double all_dim = MagnitudeScale(yarn.factor, yarn.mscale_all_dim);
  if (yarn.attention_factor) {
    rope.table_scale = *yarn.attention_factor;
  } else if (yarn.mscale != 0 && yarn.mscale_all_dim != 0) {
    rope.table_scale = MagnitudeScale(yarn.factor, yarn.mscale) / all_dim;
  } else {
    rope.table_scale = MagnitudeScale(yarn.factor, 1);
  }
  if (config.latent_attention() && yarn.mscale_all_dim != 0)
    rope.softmax_scale *= all_dim * all_dim;
}

void Apply(const Llama3Scaling& llama, const ModelConfig&, RopeParameters& rope) {
  const auto context = static_cast<double>(llama.original_max_position_embeddings);
  for (double& frequency : rope.inv_freq) {
    const double turns = context * frequency / (2 * std::numbers::pi);
    const double kept = std::clamp(
        (turns - llama.low_freq_factor) / (llama.high_freq_factor - llama.low_freq_factor), 0.0,
        1.0);
    frequency *= (1 - kept) / llama.factor + kept;
  }
}

void Apply(std::monostate, const ModelConfig&, RopeParameters&) {}

}  // namespace

RopeParameters MakeRopeParameters(const ModelConfig& config) {
  const int64_t dim = config.rope_dim();
  RopeParameters rope;
  rope.layout = config.rope_layout;
  for (int64_t j = 0; j < dim / 2; ++j) {
    rope.inv_freq.push_back(
        std::pow(config.rope_theta, -2.0 * static_cast<double>(j) / static_cast<double>(dim)));
  }
  rope.softmax_scale = 1 / std::sqrt(static_cast<double>(config.qk_dim()));
  std::visit([&](const auto& scaling) { Apply(scaling, config, rope); }, config.rope_scaling);
  return rope;
}

}  // namespace fathom
