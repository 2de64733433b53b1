#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "posttrain/distill/distill_config.h"
#include "posttrain/distill/trace_filter.h"

namespace fathom {

nlohmann::ordered_json ToJson(const FilterCounts& counts);
// As lines for a person.
std::string ToText(const FilterCounts& counts);
// One file that needs nothing else: what was dropped and why, what was kept by difficulty, the
// configuration.
void WriteDistillReport(const std::filesystem::path& path, const DistillConfig& config,
                        const FilterCounts& counts);

}  // namespace fathom
