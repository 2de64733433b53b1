#include "infer/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/random.h"

namespace fathom {
namespace {

void Require(bool holds, std::string_view name, double value, std::string_view range) {
  if (!holds) throw UsageError(name, fmt::format("{} is out of range", value), range);
}

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

void SamplingParams::Validate() const {
  Require(temperature == 0 || (temperature >= 0.01 && temperature <= 100), "temperature",
          temperature, "it can be 0 (greedy), or from 0.01 to 100");
  Require(top_p > 0 && top_p <= 1, "top_p", top_p, "it has to be above 0 and at most 1");
  Require(top_k >= 0, "top_k", static_cast<double>(top_k), "it can be 0 (off) or more");
  Require(min_p >= 0 && min_p <= 1, "min_p", min_p, "it has to be from 0 to 1");
}

Sampler::Sampler(const SamplingParams& params, uint64_t choice)
    : params_(params), key_(MixKey(params.seed, choice)) {
  params_.Validate();
}

void Sampler::Truncate(std::span<const float> logits, float largest) {
  kept_.resize(logits.size());
  std::iota(kept_.begin(), kept_.end(), 0);
  const auto before = [&](int32_t a, int32_t b) {
    const float x = logits[static_cast<size_t>(a)], y = logits[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  };
  const auto weight = [&](int32_t id) {
    return std::exp((static_cast<double>(logits[static_cast<size_t>(id)]) - largest) /
                    params_.temperature);
  };
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

int32_t Sampler::Sample(std::span<const float> logits, int64_t position) {
  const size_t largest = Largest(logits);
  if (params_.greedy()) return static_cast<int32_t>(largest);
  Truncate(logits, logits[largest]);
  weights_.resize(kept_.size());
  double total = 0;
  for (size_t i = 0; i < kept_.size(); ++i) {
    const double logit = logits[static_cast<size_t>(kept_[i])];
    weights_[i] = std::exp((logit - logits[largest]) / params_.temperature);
    total += weights_[i];
  }
  // The inverse of the distribution function, ids ascending.
  const double threshold =
      RandomStream(key_, static_cast<uint64_t>(position)).NextUniform() * total;
  double sum = 0;
  for (size_t i = 0; i < kept_.size(); ++i) {
    sum += weights_[i];
    if (threshold < sum) return kept_[i];
  }
  // Only rounding leads here. A token of no weight is never drawn.
  for (size_t i = kept_.size(); i-- > 0;) {
    if (weights_[i] > 0) return kept_[i];
  }
  return static_cast<int32_t>(largest);
}

}  // namespace fathom
