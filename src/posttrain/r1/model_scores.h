#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "ops/context.h"
#include "posttrain/evaluation/evaluation_report.h"
#include "posttrain/evaluation/named_task.h"
#include "posttrain/r1/pipeline_config.h"

namespace fathom {

// The tasks of a pipeline's evaluation. Throws as LoadTask does.
std::vector<NamedTask> LoadTasks(const PipelineConfig::Evaluation& evaluation);

// How a model is asked.
struct AskedModel {
  std::filesystem::path model;
  std::filesystem::path adapter{};  // empty: none
  bool plain = false;               // text, not the chat template
};

// What each of the tasks says of it, in their order. Every sample is kept in a file of
// `directory`, and is not made again. Nothing: Ctrl-C, and what was done is kept. Errors as the
// evaluation's.
std::optional<std::vector<EvaluationSummary>> ScoreModel(Context& context, const AskedModel& asked,
                                                         const std::vector<NamedTask>& tasks,
                                                         const PipelineConfig& config,
                                                         const std::filesystem::path& directory,
                                                         bool quiet);

}  // namespace fathom
