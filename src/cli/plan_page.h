#pragma once

#include "cli/options/command.h"

namespace fathom {

// fathom plan page: the planner in a browser.
void AddPlanPageCommand(Command plan);

}  // namespace fathom
