#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "infer/sampling/logit_rules.h"
#include "infer/sampling/sampling_params.h"

namespace fathom {

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
  // prompt, constraint: see LogitRules.
  Sampler(const SamplingParams& params, uint64_t choice, std::span<const int32_t> prompt = {},
          std::shared_ptr<TokenConstraint> constraint = nullptr);

  const SamplingParams& params() const { return params_; }

  // The token at absolute position `position` of its sequence, given the logits for it, after what
  // was accepted and then `ahead`. A function of (logits, params, choice, position) and the tokens
  // before alone. Throws Error when a logit is not a number or none is finite.
  int32_t Sample(std::span<const float> logits, int64_t position,
                 std::span<const int32_t> ahead = {});
  // The next token of the answer is there.
  void Accept(int32_t token) { rules_.Accept(token); }

 private:
  // exp((z_id - z_largest) / temperature).
  double Weight(std::span<const float> logits, size_t largest, int32_t id) const;
  // Leaves the tokens that may be drawn in kept_, ascending by id; the one of the largest logit is
  // among them.
  void Truncate(std::span<const float> logits, size_t largest);
  // The winner among all tokens.
  int32_t Race(std::span<const float> logits, size_t largest, int64_t position) const;
  // In (0, 1), one for each position and token.
  double Uniform(int64_t position, int32_t id) const;

  SamplingParams params_;
  uint64_t key_;
  LogitRules rules_;
  std::vector<int32_t> kept_;
};

}  // namespace fathom
