#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace fathom {

// The expert_load of a line of the log as SVG: a row of cells for each layer, blue for less than
// the mean, orange for more. expert_layers: as the start's line has them, null where it has none.
std::string LoadPicture(const nlohmann::json& expert_load, const nlohmann::json& expert_layers);

}  // namespace fathom
