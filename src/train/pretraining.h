#pragma once

#include "train/run_config.h"
#include "train/trainer.h"

namespace fathom {

struct PretrainingSummary : TrainSummary {
  // Of all held-out documents; 0 when there are none or the run was interrupted.
  double bits_per_byte = 0;
  double baseline_bits_per_byte = 0;
};

// Runs a pre-training run from its start, or from its newest checkpoint, to its end: tokenizer,
// data, and what RunTraining does.
PretrainingSummary Pretrain(Context& context, const RunConfig& config, const TrainOptions& options);

}  // namespace fathom
