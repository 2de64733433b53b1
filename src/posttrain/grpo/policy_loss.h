#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace fathom {

// What a group's answers weigh in the loss.
enum class LossNorm : uint8_t {
  // The mean over an answer's tokens, then over answers (DeepSeekMath, arXiv 2402.03300, equation
  // 3): tokens of long answers count less.
  kAnswer,
  // The mean over all tokens of a step (DAPO, arXiv 2503.14476, equation 8).
  kToken,
  // The sum over an answer's tokens over the longest answer that is allowed, then the mean over
  // answers (Dr. GRPO, arXiv 2503.20783): no bias by length.
  kConstant,
};

// What the ratio of the new policy to the old one is of.
enum class RatioOf : uint8_t {
  kToken,
  kAnswer,  // the product over its tokens (DeepSeek-R1, arXiv 2501.12948v1, equation 1)
};

struct PolicyLossOptions {
  double clip_low = 0.2, clip_high = 0.2;  // of the ratio: [1 - clip_low, 1 + clip_high]
  double kl = 0.001;                       // weight of the divergence from the reference (beta)
  LossNorm norm = LossNorm::kAnswer;
  RatioOf ratio = RatioOf::kToken;
  int64_t longest = 1024;  // of kConstant
};

// Advantages of the answers to one problem: reward - mean, over the standard deviation (of the
// population) where `scale` says so. All 0 where all rewards are equal.
std::vector<double> GroupAdvantages(std::span<const double> rewards, bool scale);

// One answer, token by token: log-probs of the policy that wrote it, and of the reference (empty
// where there is none).
struct PolicyAnswer {
  std::span<const double> old_logprobs, reference_logprobs;
  double advantage = 0;
};

// How much a token of an answer weighs: by norm, number of answers and of all their tokens in the
// step, and its own number of tokens.
double TokenScale(const PolicyLossOptions& options, int64_t answers, int64_t all_tokens,
                  int64_t tokens);

// Sums over tokens, to be added up and divided by `tokens`.
struct PolicySums {
  double loss = 0;  // not a sum: its part of the step's loss, scaled
  double kl = 0;    // k3 estimator of D(policy || reference)
  double ratio = 0;
  double clipped = 0;    // tokens whose gradient the clip takes away
  double deviation = 0;  // not a sum: the largest |ln ratio|
  int64_t tokens = 0;

  void Add(const PolicySums& other);
};

// The loss of one answer and its gradient: with r = exp(new - old) (of the token or the answer),
//   loss = scale * sum_t (-min(r A, clip(r) A) + kl * D_t),
//   D_t = exp(ref - new) - (ref - new) - 1   (k3, http://joschu.net/blog/kl-approx.html),
// and dloss/dnew of every token. logprobs: the new ones, as many as old ones.
PolicySums AnswerLoss(const PolicyLossOptions& options, const PolicyAnswer& answer,
                      std::span<const double> logprobs, double scale, std::span<double> gradient);

}  // namespace fathom
