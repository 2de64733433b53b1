#include "train/estimate.h"

#include "base/memory.h"
#include "ops/backend.h"
#include "train/throughput.h"

namespace fathom {

RunEstimate EstimateRun(Context& context, const RunConfig& config) {
  RunEstimate estimate{.model = RunModelConfig(config)};
  estimate.parameters = CountParameters(estimate.model);
  estimate.memory = PlanTraining(config, estimate.model, *context.backend, *context.pool);
  estimate.available = static_cast<double>(AvailableMemory());
  estimate.peak_flops = context.backend->MeasurePeakFlops(context, config.ModelPrecision().act);
  const auto add_stage = [&](int64_t steps, int64_t batch_tokens, int64_t length) {
    const double tokens = static_cast<double>(steps) * static_cast<double>(batch_tokens);
    estimate.tokens += tokens;
    estimate.flops +=
        TrainingFlops(estimate.model, tokens, tokens * static_cast<double>(length + 1) / 2);
  };
  add_stage(config.steps, config.batch_tokens, config.data.sequence_length);
  for (const RunConfig::Extension& extension : config.extensions)
    add_stage(extension.steps, extension.batch_tokens, extension.sequence_length);
  return estimate;
}

}  // namespace fathom
