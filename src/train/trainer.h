#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "model/transformer.h"
#include "train/run_config.h"
#include "train/run_setup.h"

namespace fathom {

struct TrainOptions {
  bool resume = false;
  bool quiet = false;
  // Continues the prompt with the model as it is; for the text shown while training. May be empty.
  std::function<std::string(Context& context, Transformer& transformer, const Tokenizer& tokenizer,
                            const RunConfig::Sample& sample)>
      sample;
  // Around the work of each step, from reading its rows to its update, without validation, samples
  // and checkpoints; the seconds that it took. May be empty.
  std::function<void()> before_step;
  std::function<void(double seconds)> after_step;
};

struct TrainSummary {
  bool interrupted = false;  // by Ctrl-C; a checkpoint was written
  int64_t step = 0;
  uint64_t tokens = 0;
  double seconds = 0;
  double loss = 0;  // of the last steps, smoothed
  // Of all held-out documents; 0 when there are none or the run was interrupted.
  double bits_per_byte = 0;
  double baseline_bits_per_byte = 0;
  std::filesystem::path model;  // the exported model directory
};

// Runs a pre-training run from its start, or from its newest checkpoint, to its end: tokenizer,
// data, steps, validation, checkpoints, export (OUTPUT/model, in the recipe's weight type). A loss
// that is not finite stops it with an Error that names the step and the first bad tensor; the
// checkpoints are as they were.
TrainSummary Train(Context& context, const RunConfig& config, const TrainOptions& options);

}  // namespace fathom
