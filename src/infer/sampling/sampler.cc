#include "infer/sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/random.h"
#include "infer/sampling/race.h"

namespace fathom {
namespace {

// The place of the largest logit, the first of equal ones.
size_t Largest(std::span<const float> logits) {
  size_t largest = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i])) {
      throw Error("sampler", fmt::format("the logit of token {} is not a number", i),
                  "the model's weights are damaged");
    }
    if (logits[i] > logits[largest]) largest = i;
  }
  if (!std::isfinite(logits[largest])) {
    throw Error("sampler", fmt::format("the largest logit is {}", logits[largest]),
                "the model's weights are damaged");
  }
  return largest;
}

}  // namespace

Sampler::Sampler(const SamplingParams& params, uint64_t choice, std::span<const int32_t> prompt,
                 std::shared_ptr<TokenConstraint> constraint)
    : params_(params),
      key_(MixKey(params.seed, choice)),
      rules_(params, prompt, std::move(constraint)) {
  params_.Validate();
}

double Sampler::Weight(std::span<const float> logits, size_t largest, int32_t id) const {
  const double logit = logits[static_cast<size_t>(id)];
  return std::exp((logit - logits[largest]) / params_.temperature);
}

void Sampler::Truncate(std::span<const float> logits, size_t largest) {
  kept_.resize(logits.size());
  std::iota(kept_.begin(), kept_.end(), 0);
  const auto before = [&](int32_t a, int32_t b) {
    const float x = logits[static_cast<size_t>(a)], y = logits[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  };
  const auto weight = [&](int32_t id) { return Weight(logits, largest, id); };
  if (params_.top_k > 0 && params_.top_k < static_cast<int64_t>(kept_.size())) {
    std::nth_element(kept_.begin(), kept_.begin() + (params_.top_k - 1), kept_.end(), before);
    kept_.resize(static_cast<size_t>(params_.top_k));
  }
  if (params_.top_p < 1) {
    // The total is summed in an order that does not depend on how the k were found.
    std::sort(kept_.begin(), kept_.end());
    double total = 0;
    for (const int32_t id : kept_) total += weight(id);
    // A heap instead of a sort: usually a few tokens hold nearly all of the probability.
    const auto after = [&](int32_t a, int32_t b) { return before(b, a); };
    std::make_heap(kept_.begin(), kept_.end(), after);
    double sum = 0;
    auto rest = kept_.end();
    while (rest != kept_.begin() && sum < params_.top_p * total) {
      std::pop_heap(kept_.begin(), rest, after);
      --rest;
      sum += weight(*rest);
    }
    kept_.erase(kept_.begin(), rest);
  }
  if (params_.min_p > 0) {
    std::erase_if(kept_, [&](int32_t id) { return weight(id) < params_.min_p; });
  }
  std::sort(kept_.begin(), kept_.end());
}

int32_t Sampler::Sample(std::span<const float> model_logits, int64_t position,
                        std::span<const int32_t> ahead) {
  const std::span<const float> logits = rules_.Apply(model_logits, ahead);
  const size_t largest = Largest(logits);
  if (params_.greedy()) return static_cast<int32_t>(largest);
  const bool whole = params_.top_k == 0 && params_.top_p == 1 && params_.min_p == 0;
  if (whole) return Race(logits, largest, position);
  Truncate(logits, largest);
  size_t first = kept_.size();
  double best = 0;
  const auto race = [&](size_t i) {
    const int32_t id = kept_[i];
    const double weight = Weight(logits, largest, id);
    if (weight == 0) return;
    const double u = Uniform(position, id);
    // E >= 1 - u: most tokens are known to be late without a logarithm.
    if (first < kept_.size() && 1 - u > best * weight) return;
    const double time = -std::log(u) / weight;
    if (first == kept_.size() || time < best || (time == best && i < first)) {
      first = i;
      best = time;
    }
  };
  // The likeliest token is an early one, which makes the others' question easy.
  const auto likeliest =
      std::lower_bound(kept_.begin(), kept_.end(), static_cast<int32_t>(largest));
  race(static_cast<size_t>(likeliest - kept_.begin()));
  for (size_t i = 0; i < kept_.size(); ++i) race(i);
  return kept_[first];
}

int32_t Sampler::Race(std::span<const float> logits, size_t largest, int64_t position) const {
  // The likeliest token is an early one.
  auto first = static_cast<int32_t>(largest);
  double best = -std::log(Uniform(position, first));
  RaceBounds bounds(key_, position, logits[largest], params_.temperature);
  for (size_t begin = 0; begin < logits.size(); begin += RaceBounds::kBlock) {
    const size_t count = std::min<size_t>(RaceBounds::kBlock, logits.size() - begin);
    const auto earliest =
        bounds.Earliest(static_cast<int32_t>(begin), logits.subspan(begin, count));
    const auto latest = static_cast<float>(best * (1 + 1e-6));
    for (size_t i = 0; i < count; ++i) {
      if (earliest[i] > latest) continue;
      const auto id = static_cast<int32_t>(begin + i);
      const double weight = Weight(logits, largest, id);
      if (weight == 0) continue;
      const double time = -std::log(Uniform(position, id)) / weight;
      if (time < best || (time == best && id < first)) {
        first = id;
        best = time;
      }
    }
  }
  return first;
}

double Sampler::Uniform(int64_t position, int32_t id) const {
  const auto at = static_cast<uint64_t>(position);
  const auto words = Philox4x32(key_, {static_cast<uint32_t>(at), static_cast<uint32_t>(at >> 32),
                                       static_cast<uint32_t>(id) >> 1, kRaceStream});
  const size_t half = id & 1 ? 2 : 0;
  const uint64_t bits = static_cast<uint64_t>(words[half + 1]) << 32 | words[half];
  return (static_cast<double>(bits >> 11) + 0.5) * 0x1.0p-53;
}

}  // namespace fathom
