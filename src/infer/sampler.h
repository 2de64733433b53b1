#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace fathom {

// How the next token is drawn. With z the logits, in this order, as vLLM and transformers have it:
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

  bool greedy() const { return temperature == 0; }
  // Throws UsageError when one is out of range.
  void Validate() const;
};

// Draws the tokens of one choice of one request.
//
// A draw is a race: token i arrives at time E_i / p_i, with E_i exponential and keyed by (seed,
// choice, position, i), and the first to arrive is drawn, which is i with probability p_i. Two
// samplers of one key that draw from different distributions p and q draw the same token with a
// probability of at least (1 - d) / (1 + d), d being the distance (1 - sum_i min(p_i, q_i)) of the
// two (Daliri, Musco and Suresh, arXiv 2408.07978): a draft model that draws with the request's own
// sampler guesses about as well as can be, while what is drawn in the end depends on the model's
// logits alone.
class Sampler {
 public:
  // choice: which of the several answers to one prompt; each has a random stream of its own.
  Sampler(const SamplingParams& params, uint64_t choice);

  const SamplingParams& params() const { return params_; }

  // The token at absolute position `position` of its sequence, given the logits for it. A function
  // of (logits, params, choice, position) alone. Throws Error when a logit is not a number or none
  // is finite.
  int32_t Sample(std::span<const float> logits, int64_t position);

 private:
  // exp((z_id - z_largest) / temperature).
  double Weight(std::span<const float> logits, size_t largest, int32_t id) const;
  // Leaves the tokens that may be drawn in kept_, ascending by id; the one of the largest logit is
  // among them.
  void Truncate(std::span<const float> logits, size_t largest);
  // In (0, 1), one for each position and token.
  double Uniform(int64_t position, int32_t id) const;

  SamplingParams params_;
  uint64_t key_;
  std::vector<int32_t> kept_;
};

}  // namespace fathom
