#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/parameters.h"
#include "ops/context.h"
#include "train/training_settings.h"

namespace fathom {

// AdamW over all parameters that have a gradient, with clipping of the global norm. Weight decay
// applies to matrices (embedding, head and router among them), not to norm gains.
class Optimizer {
 public:
  Optimizer(const TrainingSettings::Optimizer& config, ParameterStore& store, Allocator& allocator);

  // Moments to zero.
  void Reset(Context& context);

  struct Norm {
    double before_clipping = 0;
    bool finite = true;
  };
  // One step with the gradients as they are; step counts from 1. When their norm is not finite,
  // nothing is changed.
  Norm Step(Context& context, double lr, int64_t step);

  // The moments by parameter name, for checkpoints.
  struct State {
    const Parameter* parameter;
    Tensor m, v;
  };
  const std::vector<State>& states() const { return states_; }
  size_t bytes() const { return arena_.used(); }

 private:
  TrainingSettings::Optimizer config_;
  ParameterStore* store_;
  Arena arena_;
  std::vector<State> states_;
};

// Learning rate of a step (0-based) of a stage of `steps` steps: linear warm-up, then constant; or
// a cosine down to lr * min_lr_ratio; or constant with a linear way down over the last
// decay_fraction ("warm-up, stable, decay").
double LearningRate(const TrainingSettings::Schedule& schedule, double lr, int64_t step,
                    int64_t steps);

// Adds speed to the selection bias of experts that got fewer tokens than the mean and takes it from
// those that got more (V3 report, section 2.1.2). load: tokens of each expert in the step.
void UpdateRouterBias(Context& context, Parameter& bias, const std::vector<int64_t>& load,
                      double speed);

// Warns where the warm-up does not end before the run does.
void WarnOfWarmup(const TrainingSettings::Schedule& schedule, int64_t steps);

}  // namespace fathom
