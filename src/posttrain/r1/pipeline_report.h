#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "posttrain/evaluation/evaluation_report.h"
#include "posttrain/r1/pipeline_config.h"

namespace fathom {

// A model of a pipeline, and what the tasks say of it.
struct PipelineModel {
  std::string name;        // of the stage that made it, or the path of one that none made
  std::string kind;        // of the stage; empty: none made it
  std::string begun_with;  // the name of the model that it was trained from; empty: none
  std::filesystem::path model{};
  std::vector<EvaluationSummary> scores;  // by task
};

// A stage, done or not.
struct PipelineProgress {
  std::string name, kind;
  bool done = false;
  double seconds = 0;
};

struct PipelineTable {
  std::vector<std::string> tasks;
  std::vector<PipelineModel> models;  // in the order of their stages
  std::vector<PipelineProgress> stages;
};

// What a model's answers are better by than those of the one it was trained from, problem by
// problem; nothing where that one was not measured.
std::optional<PairedDifference> Gain(const PipelineTable& table, const PipelineModel& model,
                                     size_t task);

nlohmann::ordered_json ToJson(const PipelineTable& table);
// As lines for a person: a block for each task, a line for each model.
std::string ToText(const PipelineTable& table);
// A page of its own: stages with their times and reports, and the scores; needs nothing else.
void WritePipelineReport(const std::filesystem::path& path, const PipelineConfig& config,
                         const PipelineTable& table);

}  // namespace fathom
