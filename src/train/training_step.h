#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/token_rows.h"
#include "model/language_model_loss.h"
#include "train/expert_load.h"
#include "train/optimizer.h"
#include "train/row_objective.h"
#include "train/training_settings.h"

namespace fathom {

// The rows as the model takes them: one flat batch, a sequence per segment, a balance group per
// row.
LossInput MakeLossInput(const TokenRows& rows);

// "parameter NAME" of the first one that holds a number that is not finite; empty: there is none.
std::string FirstBadParameter(Context& context, const ParameterStore& store);

// What one step did.
struct StepResult {
  double loss = 0;               // mean -logprob of the next token, nats; or an objective's
  std::vector<double> mtp_loss;  // the same of each MTP module
  double kl = 0;                 // mean divergence from the teacher, where there is one, nats
  double balance_loss = 0;       // mean over rows, summed over layers
  ObjectiveSums parts;           // of an objective: means over its examples
  int64_t targets = 0;           // or examples
  double grad_norm = 0;
  // Query-key pairs that attention looked at, for the count of operations.
  double attention_pairs = 0;
  ExpertLoad expert_load;
  std::string bad;  // not empty: the first tensor that holds a number that is not finite
};

// One optimiser step over rows that are cut into micro-batches, whose gradients are summed.
class TrainingStep {
 public:
  TrainingStep(const TrainingSettings& settings, Transformer& transformer, ParameterStore& store,
               Optimizer& optimizer, Allocator& allocator);

  // Learns from a teacher's probabilities, too; it has to outlive this. Null: does not.
  void SetSoftTargets(const SoftTargets* soft) { soft_ = soft; }

  // What is learnt in place of the next token; it has to outlive this. Null: the next token.
  void SetObjective(const RowObjective* objective) { objective_ = objective; }

  // step: 0-based, over all stages (for the optimiser's bias correction); lr and MTP weight are the
  // schedule's. When the loss or a gradient is not finite, parameters and moments stay as they were
  // and `bad` says what went wrong.
  StepResult Run(Context& context, const TokenRows& rows, int64_t micro_batch_rows, int64_t step,
                 double lr, double mtp_weight, double bias_speed);

  size_t saved_bytes() const { return saved_.arena.peak(); }
  size_t backward_bytes() const { return saved_.backward.peak(); }

 private:
  std::string FindBad(Context& context) const;

  const TrainingSettings& settings_;
  Transformer* transformer_;
  ParameterStore* store_;
  Optimizer* optimizer_;
  const SoftTargets* soft_ = nullptr;
  const RowObjective* objective_ = nullptr;
  SavedActivations saved_;
};

}  // namespace fathom
