#include "train/estimate.h"

#include "base/memory.h"
#include "ops/backend.h"
#include "train/throughput.h"

namespace fathom {

RunEstimate EstimateRun(Context& context, const TrainingSettings& settings,
                        std::vector<TrainingStage> stages) {
  RunEstimate estimate{.stages = std::move(stages)};
  estimate.parameters = CountParameters(estimate.stages.front().model);
  estimate.memory = PlanTraining(settings, estimate.stages, *context.backend, *context.pool);
  estimate.available = static_cast<double>(AvailableMemory());
  estimate.peak_flops = context.backend->MeasurePeakFlops(context, settings.ModelPrecision().act);
  for (const TrainingStage& stage : estimate.stages) {
    const double tokens =
        static_cast<double>(stage.steps) * static_cast<double>(stage.batch_tokens);
    estimate.tokens += tokens;
    estimate.flops += TrainingFlops(stage.model, tokens,
                                    tokens * static_cast<double>(stage.sequence_length + 1) / 2,
                                    settings.lora.enabled());
  }
  return estimate;
}

}  // namespace fathom
