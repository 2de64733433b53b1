#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "model/transformer.h"

namespace fathom {

// Tokens to be predicted, as the host has them. Depth 0 is the main model, depth k the k-th MTP
// module.
struct LossInput {
  std::vector<BatchSequence> sequences;
  // [depths][T]; depth k: token i + k (any id where there is none).
  std::vector<std::vector<int32_t>> inputs;
  // [depths][T]; depth k: token i + k + 1, or -1: not predicted.
  std::vector<std::vector<int32_t>> targets;
  // [T], ascending from 0: what the sequence-wise balance loss takes as one sequence (a row of
  // packed documents). Empty: the sequences themselves.
  std::vector<int32_t> balance_group;
};

// Another model's probabilities of every token, learnt beside the targets of depth 0 (Hinton et
// al., arXiv 1503.02531): with p the teacher's and q the model's at a temperature,
//   (1 - weight) nll + weight temperature^2 D(p || q),
// the square because the divergence's gradient falls with it. Over the whole vocabulary, exactly;
// logits are held a block of rows at a time.
struct SoftTargets {
  const Transformer* teacher = nullptr;  // packed for `form`; of the model's vocabulary
  AttentionForm form = AttentionForm::kAbsorbed;
  double weight = 0.5, temperature = 1;
};

struct LossOptions {
  AttentionForm form = AttentionForm::kExpanded;
  double balance_alpha = 0;
  // dLoss/d(-logprob) of every target of a depth: depth 0 is usually 1 / (targets in the step),
  // depth k lambda / depths / (targets of that depth in the step).
  std::vector<double> target_weight;
  // For a loss that is no sum of -logprobs (a policy's, a preference's): dLoss/doutput of every
  // token of depth 0, given what the head makes of them: their log-probs, or, of a head that
  // scores, their scores (0 where there is no target; what is given there does not count). In place
  // of target_weight[0]; costs one more pass through the head. A head that scores has no other
  // loss.
  std::function<std::vector<double>(std::span<const double> outputs)> doutput;
  // Of depth 0: log-probs and loss are those of softmax(logits / temperature).
  double temperature = 1;
  // Null: none. Not together with doutput.
  const SoftTargets* soft = nullptr;
  // Weight of this micro-batch's balance losses: they enter the loss as balance_weight * sum over
  // sequences and layers.
  double balance_weight = 0;
  // Counts the drafts of the MTP modules that the main model would accept; without `saved` only.
  bool count_drafts = false;
};

struct LossOutput {
  // [depths]: sum of -logprob over the targets, in nats; 0 of a head that scores.
  std::vector<double> nll;
  std::vector<int64_t> targets;  // [depths]: how many targets there are
  double balance_loss = 0;       // sum over sequences and layers
  double kl = 0;                 // with soft targets: sum of D(p || q) over the targets of depth 0
  // [depths], with count_drafts: of depth k's targets, how many its module predicts with the very
  // token that the main model, given the k tokens before, finds likeliest. That is greedy
  // speculative decoding on this text: such a draft is accepted. Of depth 0: all.
  std::vector<int64_t> accepted;
};

// The cross-entropy of the main model and of its MTP modules. With `saved`, gradients of
//   sum_k target_weight[k] nll[k] + balance_weight balance_loss
// are added to the parameters' and the expert loads are left in saved->layers[i].moe.rows.offsets;
// saved is reset first. Without, only depths listed in the input are computed, and nothing is kept.
LossOutput LanguageModelLoss(Context& context, const Transformer& transformer,
                             const LossInput& input, const LossOptions& options,
                             SavedActivations* saved);

// -logprob of every target of depth 0, in nats, in order (0 where the target is -1).
std::vector<double> TokenLosses(Context& context, const Transformer& transformer,
                                const LossInput& input, AttentionForm form, double temperature = 1);

// What a model whose head scores makes of texts, each of a token or more: h . w of the last token's
// final hidden state, as transformers' ...ForSequenceClassification has it. Computed at once.
std::vector<double> SequenceScores(Context& context, const Transformer& transformer,
                                   std::span<const std::vector<int32_t>> texts, AttentionForm form);

}  // namespace fathom
