#pragma once

#include <span>
#include <string>
#include <vector>

#include "model/language_model_loss.h"
#include "posttrain/grpo/policy_loss.h"
#include "posttrain/grpo/rollout.h"
#include "train/expert_load.h"
#include "train/optimizer.h"
#include "train/training_settings.h"

namespace fathom {

// A rollout with what it is worth.
struct WeighedRollout {
  const Rollout* rollout;
  double advantage = 0;
  double scale = 0;                        // of each written token in the loss (TokenScale)
  std::vector<double> reference_logprobs;  // of the written tokens; empty: no reference
};

struct PolicyStepResult {
  PolicySums sums;
  double grad_norm = 0;
  ExpertLoad expert_load;
  std::string bad;  // not empty: what is not finite
};

// log-probs of the written tokens under a model, computed in groups of at most `group_tokens`
// tokens (one rollout at least).
std::vector<std::vector<double>> AnswerLogProbs(Context& context, const Transformer& transformer,
                                                std::span<const Rollout* const> rollouts,
                                                AttentionForm form, double temperature,
                                                int64_t group_tokens);

// Steps of the optimizer on answers, of the main model alone (MTP modules stay as they are).
class PolicyStep {
 public:
  // settings.micro_batch_tokens: computed at once (0: settings.batch_tokens).
  PolicyStep(const TrainingSettings& settings, const PolicyLossOptions& loss, double temperature,
             Transformer& transformer, ParameterStore& store, Optimizer& optimizer,
             Allocator& allocator);

  // step: 0-based, for the optimizer. Parameters stay as they are when something is not finite.
  PolicyStepResult Run(Context& context, std::span<const WeighedRollout> rollouts, int64_t step,
                       double lr);

 private:
  const TrainingSettings& settings_;
  const PolicyLossOptions& loss_;
  double temperature_;
  Transformer& transformer_;
  ParameterStore& store_;
  Optimizer& optimizer_;
  SavedActivations saved_;
};

}  // namespace fathom
