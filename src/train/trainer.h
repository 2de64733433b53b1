#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "model/transformer.h"
#include "train/memory_plan.h"
#include "train/training_settings.h"
#include "train/training_task.h"

namespace fathom {

struct TrainOptions {
  bool resume = false;
  bool quiet = false;
  // Continues the prompt with the model as it is; for the text shown while training. May be empty.
  std::function<std::string(Context& context, Transformer& transformer, const Tokenizer& tokenizer,
                            const TrainingSettings::Sample& sample)>
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
  // With TrainingSettings::Checkpoints::best: the step whose weights the model has, what the
  // validations of the model that the run began with and of these weights said; otherwise -1.
  int64_t best_step = -1;
  double start_score = 0, best_score = 0;
  std::filesystem::path model{};  // the exported model directory
};

// Error when the output has a run already and this is not to go on with it.
void RefuseExistingRun(const TrainingSettings& settings, const TrainOptions& options);

// Runs a task from its start, or from its newest checkpoint, to its end: steps, validation,
// checkpoints, export (OUTPUT/model, in the recipe's weight type). A loss that is not finite stops
// it with an Error that names the step and the first bad tensor; the checkpoints are as they were.
// plan: what it takes, for the log.
TrainSummary RunTraining(Context& context, const TrainingSettings& settings, TrainingTask& task,
                         const MemoryPlan& plan, const TrainOptions& options);

}  // namespace fathom
