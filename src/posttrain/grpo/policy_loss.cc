#include "posttrain/grpo/policy_loss.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace fathom {

std::vector<double> GroupAdvantages(std::span<const double> rewards, bool scale) {
  const auto count = static_cast<double>(rewards.size());
  double mean = 0, variance = 0;
  for (const double reward : rewards) mean += reward / count;
  for (const double reward : rewards) variance += (reward - mean) * (reward - mean) / count;
  std::vector<double> advantages;
  // The mean of equal numbers may differ from them in its last bit, which the deviation would
  // blow up.
  const auto [least, most] = std::minmax_element(rewards.begin(), rewards.end());
  const bool spread = !rewards.empty() && *least < *most;
  for (const double reward : rewards) {
    const double advantage = reward - mean;
    advantages.push_back(!spread ? 0 : scale ? advantage / std::sqrt(variance) : advantage);
  }
  return advantages;
}

double TokenScale(const PolicyLossOptions& options, int64_t answers, int64_t all_tokens,
                  int64_t tokens) {
  const auto n = static_cast<double>(answers);
  // A ratio of whole answers has one term each.
  if (options.ratio == RatioOf::kAnswer) return 1 / n;
  switch (options.norm) {
    case LossNorm::kAnswer:
      return 1 / (n * static_cast<double>(tokens));
    case LossNorm::kToken:
      return 1 / static_cast<double>(all_tokens);
    case LossNorm::kConstant:
      return 1 / (n * static_cast<double>(options.longest));
  }
  return 0;
}

void PolicySums::Add(const PolicySums& other) {
  loss += other.loss;
  kl += other.kl;
  ratio += other.ratio;
  clipped += other.clipped;
  deviation = std::max(deviation, other.deviation);
  tokens += other.tokens;
}

PolicySums AnswerLoss(const PolicyLossOptions& options, const PolicyAnswer& answer,
                      std::span<const double> logprobs, double scale, std::span<double> gradient) {
  const size_t count = answer.old_logprobs.size();
  FATHOM_CHECK(logprobs.size() == count && gradient.size() == count);
  const double low = 1 - options.clip_low, high = 1 + options.clip_high;
  const double advantage = answer.advantage;
  PolicySums sums{.tokens = static_cast<int64_t>(count)};
  const auto is_clipped = [&](double ratio) { return advantage > 0 ? ratio > high : ratio < low; };
  double whole = 0;
  for (size_t t = 0; t < count; ++t) whole += logprobs[t] - answer.old_logprobs[t];
  if (options.ratio == RatioOf::kAnswer) {
    const double ratio = std::exp(whole);
    sums.loss -= scale * std::min(ratio * advantage, std::clamp(ratio, low, high) * advantage);
  }
  for (size_t t = 0; t < count; ++t) {
    const double log_ratio = logprobs[t] - answer.old_logprobs[t];
    const double ratio = std::exp(options.ratio == RatioOf::kAnswer ? whole : log_ratio);
    const bool clipped = is_clipped(ratio);
    sums.ratio += std::exp(log_ratio);
    sums.deviation = std::max(sums.deviation, std::abs(log_ratio));
    sums.clipped += clipped ? 1 : 0;
    gradient[t] = clipped ? 0 : -scale * ratio * advantage;
    if (options.ratio == RatioOf::kToken) {
      sums.loss -= scale * std::min(ratio * advantage, std::clamp(ratio, low, high) * advantage);
    }
    if (answer.reference_logprobs.empty()) continue;
    const double difference = answer.reference_logprobs[t] - logprobs[t];
    const double divergence = std::exp(difference) - difference - 1;
    // Of whole answers, the divergence is the mean over their tokens.
    const double kl_scale =
        options.ratio == RatioOf::kAnswer ? scale / static_cast<double>(count) : scale;
    sums.kl += divergence;
    sums.loss += kl_scale * options.kl * divergence;
    gradient[t] += kl_scale * options.kl * (1 - std::exp(difference));
  }
  return sums;
}

}  // namespace fathom
