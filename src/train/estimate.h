#pragma once

#include <vector>

#include "model/parameters.h"
#include "ops/context.h"
#include "train/memory_plan.h"
#include "train/training_settings.h"

namespace fathom {

// What a run would take, found without computing.
struct RunEstimate {
  std::vector<TrainingStage> stages;
  ParameterCounts parameters;
  MemoryPlan memory;
  double available = 0;   // bytes of memory
  double tokens = 0;      // inputs, over all stages
  double flops = 0;       // model FLOPs (throughput.h), rows holding one document each
  double peak_flops = 0;  // what this machine does a second

  // At a model FLOPs utilisation in (0, 1].
  double Seconds(double utilisation) const { return flops / peak_flops / utilisation; }
};

RunEstimate EstimateRun(Context& context, const TrainingSettings& settings,
                        std::vector<TrainingStage> stages);

}  // namespace fathom
