#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "posttrain/r1/pipeline_config.h"
#include "posttrain/r1/pipeline_report.h"
#include "train/trainer.h"

namespace fathom {

struct PipelineOptions {
  bool resume = false, quiet = false;
  std::string until;    // the name of the last stage to be run; empty: all are
  std::string version;  // of this program, for traces
  // What a fine-tuning stage is run with, from its configuration; its `resume` and `quiet` are the
  // pipeline's.
  std::function<TrainOptions(const SftConfig& config)> sft_options = [](const SftConfig&) {
    return TrainOptions();
  };
};

struct PipelineSummary {
  bool interrupted = false;  // by Ctrl-C; what was done is kept
  PipelineTable table;       // of what was measured
};

// What a pipeline would need and lacks: paths that do not exist and that no stage makes, as "stage
// 'NAME': PATH"; empty: nothing.
std::vector<std::string> MissingInputs(const PipelineConfig& config);

// Runs the stages one after another (docs/r1.md), each in its directory, and measures every model
// by the tasks of `evaluation`; OUTPUT/pipeline.json has the stages that are done,
// OUTPUT/report.html the scores. Without `resume` the output has to be new; with it, stages that
// are done stay as they are, and the one that was under way goes on. Throws Error when inputs are
// missing, when the configuration of a stage that is done has changed, and as the stages do; what
// was done is kept.
PipelineSummary RunPipeline(Context& context, const PipelineConfig& config,
                            const PipelineOptions& options);

}  // namespace fathom
