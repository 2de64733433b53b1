#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "model/config.h"
#include "model/expert_load.h"
#include "model/transformer.h"

namespace fathom {

// Adds what a forward sent where.
void CountExperts(const SavedActivations& saved, ExpertLoad& load);
// Adds another load of the same model.
void AddLoad(const ExpertLoad& more, ExpertLoad& load);

// max_i load_i / mean - 1: how much more than its share the busiest expert got (arXiv 2408.15664,
// "MaxVio").
double MaxViolation(const std::vector<int64_t>& load);

// Adds what a step's line of the log says of the experts: max_violation, the largest of all layers;
// and in `entries` of `steps` steps, spread evenly, and in the first, expert_load: a row for each
// layer with every expert's load over the mean, to a hundredth. step: 1-based.
void LogExpertLoad(const ExpertLoad& load, int64_t step, int64_t steps, int64_t entries,
                   nlohmann::ordered_json& line);

// Adds what tells the rows of expert_load apart to the line of a start: layers, how many the model
// has, and expert_layers, those with experts, by the numbers that parameters have in their names
// (MTP modules' begin with `layers`).
void DescribeExpertLayers(const ModelConfig& model, nlohmann::ordered_json& line);

}  // namespace fathom
