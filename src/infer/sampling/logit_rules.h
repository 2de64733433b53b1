#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "infer/sampling/sampling_params.h"
#include "text/token_constraint.h"

namespace fathom {

// What one answer does to a model's logits before anything is drawn from them. With z the logits,
// c_i how often token i has been written, in this order, as vLLM has it:
//   1. bias: z_i += logit_bias[i]
//   2. repetition: for each i in prompt or answer, z_i becomes z_i / r if positive, z_i r otherwise
//   3. frequency and presence (OpenAI's API): z_i -= c_i frequency + (c_i > 0) presence
//   4. a constraint: tokens that may not come get -infinity
// Each token's logit is a function of its own, computed in double and rounded once.
class LogitRules {
 public:
  // prompt: read for the repetition penalty only. constraint: null: none.
  LogitRules(const SamplingParams& params, std::span<const int32_t> prompt,
             std::shared_ptr<TokenConstraint> constraint);

  // The logits after what was accepted and then `ahead`: `logits` themselves where nothing changes
  // them, otherwise until the next call.
  std::span<const float> Apply(std::span<const float> logits, std::span<const int32_t> ahead);
  // The next token of the answer is there.
  void Accept(int32_t token);

 private:
  // A token of the prompt (where that matters) or of the answer.
  struct Seen {
    bool in_prompt = false;
    int64_t count = 0;  // in the answer
  };

  void Penalise();
  void Constrain(std::span<const uint64_t> allowed);

  SamplingParams params_;
  bool penalises_;
  std::unordered_map<int32_t, Seen> seen_;
  std::shared_ptr<TokenConstraint> constraint_;
  std::vector<float> changed_;
};

}  // namespace fathom
