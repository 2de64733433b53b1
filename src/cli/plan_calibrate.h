#pragma once

#include <CLI/CLI.hpp>

namespace fathom {

// fathom plan calibrate: how wrong the planner is on this machine.
void AddPlanCalibrate(CLI::App& plan);

}  // namespace fathom
