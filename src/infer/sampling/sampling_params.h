#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fathom {

// What is added to the logit of a token, in [-100, 100].
struct TokenBias {
  int32_t token;
  double bias;
};
inline constexpr size_t kMostBiases = 1024;

// How the next token is drawn. With z the logits, after bias, penalties and constraint
// (LogitRules), in this order, as vLLM and transformers have it:
//   1. p = softmax(z / temperature); temperature 0: the largest logit, nothing below applies
//   2. top_k: only the k most probable tokens stay
//   3. top_p: of these, renormalised, only the fewest most probable ones whose sum reaches top_p
//   4. min_p: of these, only tokens at least min_p times as probable as the most probable one
// Equal logits rank by id, the lowest first, so that exactly k tokens stay and a tie is settled.
struct SamplingParams {
  double temperature = 1;  // 0, or in [0.01, 100]
  double top_p = 1;        // in (0, 1]; 1: off
  int64_t top_k = 0;       // 0: off
  double min_p = 0;        // in [0, 1]; 0: off
  uint64_t seed = 0;
  // What has been written counts for or against being written again (LogitRules).
  double frequency_penalty = 0, presence_penalty = 0;  // in [-2, 2], subtracted from logits
  double repetition_penalty = 1;                       // in [0.1, 10], divides them; 1: off
  std::vector<TokenBias> logit_bias;                   // at most kMostBiases

  bool greedy() const { return temperature == 0; }
  // Throws UsageError when one is out of range.
  void Validate() const;
};

}  // namespace fathom
