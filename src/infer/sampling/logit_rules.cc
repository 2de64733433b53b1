#include "infer/sampling/logit_rules.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace fathom {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

}  // namespace

LogitRules::LogitRules(const SamplingParams& params, std::span<const int32_t> prompt,
                       std::shared_ptr<TokenConstraint> constraint)
    : params_(params),
      penalises_(params.frequency_penalty != 0 || params.presence_penalty != 0 ||
                 params.repetition_penalty != 1),
      constraint_(std::move(constraint)) {
  if (params.repetition_penalty == 1) return;
  for (const int32_t token : prompt) seen_[token].in_prompt = true;
}

void LogitRules::Accept(int32_t token) {
  if (penalises_) ++seen_[token].count;
  if (constraint_) constraint_->Accept(token);
}

std::span<const float> LogitRules::Apply(std::span<const float> logits,
                                         std::span<const int32_t> ahead) {
  const std::span<const uint64_t> allowed =
      constraint_ ? constraint_->Allowed(ahead) : std::span<const uint64_t>();
  if (params_.logit_bias.empty() && !penalises_ && allowed.empty()) return logits;
  changed_.assign(logits.begin(), logits.end());
  for (const auto& [token, bias] : params_.logit_bias) {
    float& logit = changed_[static_cast<size_t>(token)];
    logit = static_cast<float>(logit + bias);
  }
  if (penalises_) {
    for (const int32_t token : ahead) ++seen_[token].count;
    Penalise();
    for (const int32_t token : ahead) --seen_[token].count;
  }
  if (!allowed.empty()) Constrain(allowed);
  return changed_;
}

void LogitRules::Penalise() {
  for (const auto& [token, seen] : seen_) {
    if (!seen.in_prompt && seen.count == 0) continue;
    double logit = changed_[static_cast<size_t>(token)];
    logit = logit > 0 ? logit / params_.repetition_penalty : logit * params_.repetition_penalty;
    logit -= static_cast<double>(seen.count) * params_.frequency_penalty;
    if (seen.count > 0) logit -= params_.presence_penalty;
    changed_[static_cast<size_t>(token)] = static_cast<float>(logit);
  }
}

void LogitRules::Constrain(std::span<const uint64_t> allowed) {
  const size_t words = (changed_.size() + 63) / 64;
  for (size_t word = 0; word < words; ++word) {
    const uint64_t bits = word < allowed.size() ? allowed[word] : 0;
    if (~bits == 0) continue;
    const size_t begin = word * 64, end = std::min(changed_.size(), begin + 64);
    if (bits == 0) {
      std::fill(changed_.begin() + static_cast<std::ptrdiff_t>(begin),
                changed_.begin() + static_cast<std::ptrdiff_t>(end), kNever);
      continue;
    }
    for (size_t id = begin; id < end; ++id) {
      if ((bits >> (id - begin) & 1) == 0) changed_[id] = kNever;
    }
  }
}

}  // namespace fathom
