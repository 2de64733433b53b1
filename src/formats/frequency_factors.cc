#include "formats/frequency_factors.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <variant>

#include "model/rope.h"

namespace fathom {
namespace {

constexpr double kLargestContext = 1 << 24;  // as in config.json (config_fields.h)

ModelConfig PlainRope(size_t pairs, double theta) {
  ModelConfig config;
  config.family = Family::kLlama;
  config.head_dim = 2 * static_cast<int64_t>(pairs);
  config.rope_theta = theta;
  return config;
}

bool Explains(const Llama3Scaling& scaling, std::span<const float> factors, double theta,
              float tolerance) {
  ModelConfig config = PlainRope(factors.size(), theta);
  config.rope_scaling = scaling;
  const std::vector<float> expected = FrequencyFactors(config);
  return std::equal(factors.begin(), factors.end(), expected.begin(),
                    [=](float found, float f) { return std::fabs(found - f) <= tolerance * f; });
}

// Of each pair, the share of its frequency that is kept: 1 down to 0 (divided by `factor`).
std::vector<double> KeptShares(std::span<const float> factors, double factor) {
  std::vector<double> kept;
  for (const float f : factors)
    kept.push_back((1 / static_cast<double>(f) - 1 / factor) / (1 - 1 / factor));
  return kept;
}

// With the low and high factor of the releases: a blended pair tells the context.
Llama3Scaling AsReleased(double factor, std::span<const double> kept,
                         std::span<const double> frequencies) {
  Llama3Scaling scaling{.factor = factor};
  for (size_t j = 0; j < kept.size(); ++j) {
    if (!(kept[j] > 0.001 && kept[j] < 0.999)) continue;
    const double turns =
        scaling.low_freq_factor + kept[j] * (scaling.high_freq_factor - scaling.low_freq_factor);
    const double context = std::round(turns * 2 * std::numbers::pi / frequencies[j]);
    if (context >= 1 && context <= kLargestContext)
      scaling.original_max_position_embeddings = static_cast<int64_t>(context);
    break;
  }
  return scaling;
}

// The kept share is linear in the frequency between a share of 0 and of 1. A line through what is
// between and next to them, and the low and high factor where it has 0 and 1.
Llama3Scaling Fitted(double factor, std::span<const double> kept,
                     std::span<const double> frequencies) {
  constexpr double kNothing = 1e-6;
  const size_t pairs = kept.size();
  size_t begin = 0, end = pairs;  // blended pairs
  while (begin < pairs && kept[begin] > 1 - kNothing) ++begin;
  while (end > begin && kept[end - 1] < kNothing) --end;
  double slope = 0, at = 0;  // the share changes with the frequency by; the frequency of share 0
  if (end - begin >= 2) {
    slope = (kept[begin] - kept[end - 1]) / (frequencies[begin] - frequencies[end - 1]);
    at = frequencies[begin] - kept[begin] / slope;
  } else if (begin == 0 && end == 0) {  // all are divided
    slope = 1 / frequencies[0];
    at = frequencies[0];
  } else if (end == begin) {
    slope = 1 / (frequencies[begin - 1] - frequencies[begin]);
    at = frequencies[begin];
  } else {  // one: steep enough for both of its neighbours
    if (begin > 0) slope = (1 - kept[begin]) / (frequencies[begin - 1] - frequencies[begin]);
    if (end < pairs) slope = std::max(slope, kept[begin] / (frequencies[begin] - frequencies[end]));
    at = frequencies[begin] - kept[begin] / slope;
  }
  Llama3Scaling scaling{.factor = factor};
  const double turns =
      static_cast<double>(scaling.original_max_position_embeddings) / (2 * std::numbers::pi);
  scaling.low_freq_factor = turns * at;
  scaling.high_freq_factor = turns * (at + 1 / slope);
  return scaling;
}

}  // namespace

std::vector<float> FrequencyFactors(const ModelConfig& config) {
  ModelConfig plain = config;
  plain.rope_scaling = std::monostate();
  const std::vector<double> unscaled = MakeRopeParameters(plain).inv_freq;
  const std::vector<double> scaled = MakeRopeParameters(config).inv_freq;
  std::vector<float> factors;
  for (size_t i = 0; i < scaled.size(); ++i)
    factors.push_back(static_cast<float>(unscaled[i] / scaled[i]));
  return factors;
}

std::optional<Llama3Scaling> Llama3ScalingOf(std::span<const float> factors, double theta) {
  if (factors.empty() || !std::all_of(factors.begin(), factors.end(),
                                      [](float f) { return f > 0 && std::isfinite(f); }))
    return std::nullopt;
  const double factor = static_cast<double>(factors.back());  // of the lowest frequency
  if (factor == 1) return std::nullopt;
  const std::vector<double> kept = KeptShares(factors, factor);
  const std::vector<double> frequencies =
      MakeRopeParameters(PlainRope(factors.size(), theta)).inv_freq;
  // Exact but for the rounding of the factors to f32; then as others compute them, in f32.
  for (const float tolerance : {2e-6F, 1e-4F}) {
    for (const auto& make : {AsReleased, Fitted}) {
      const Llama3Scaling scaling = make(factor, kept, frequencies);
      const bool possible = scaling.low_freq_factor > 0 &&
                            scaling.high_freq_factor > scaling.low_freq_factor &&
                            std::isfinite(scaling.high_freq_factor);
      if (possible && Explains(scaling, factors, theta, tolerance)) return scaling;
    }
  }
  return std::nullopt;
}

}  // namespace fathom
