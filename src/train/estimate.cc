#include "train/estimate.h"

#include "base/memory.h"
#include "ops/backend.h"
#include "train/run_setup.h"
#include "train/throughput.h"

namespace fathom {

RunEstimate EstimateRun(Context& context, const RunConfig& config) {
  RunEstimate estimate{.model = RunModelConfig(config)};
  estimate.parameters = CountParameters(estimate.model);
  estimate.stages = RunStages(config, estimate.model);
  estimate.memory = PlanTraining(config, estimate.stages, *context.backend, *context.pool);
  estimate.available = static_cast<double>(AvailableMemory());
  estimate.peak_flops = context.backend->MeasurePeakFlops(context, config.ModelPrecision().act);
  for (const TrainingStage& stage : estimate.stages) {
    const double tokens =
        static_cast<double>(stage.steps) * static_cast<double>(stage.batch_tokens);
    estimate.tokens += tokens;
    estimate.flops += TrainingFlops(stage.model, tokens,
                                    tokens * static_cast<double>(stage.sequence_length + 1) / 2);
  }
  return estimate;
}

}  // namespace fathom
