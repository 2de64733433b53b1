#pragma once

#include "cli/options/command.h"

namespace fathom {

// fathom plan calibrate: how wrong the planner is on this machine.
void AddPlanCalibrate(Command plan);

}  // namespace fathom
