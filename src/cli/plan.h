#pragma once

#include "cli/options/command.h"

namespace fathom {

// fathom plan: what training and serving cost, before anything runs.
void AddPlanCommand(Command app);

}  // namespace fathom
