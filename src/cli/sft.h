#pragma once

#include "cli/options/command.h"
#include "posttrain/sft/sft_config.h"
#include "train/trainer.h"

namespace fathom {

// `options` with the text that is shown while it trains, where the configuration wants some.
TrainOptions WithSample(const SftConfig& config, TrainOptions options);

// `fathom sft`.
void AddSftCommand(Command app);

}  // namespace fathom
