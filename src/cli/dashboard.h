#pragma once

#include "cli/options/command.h"

namespace fathom {

// fathom dashboard: runs in a browser, while they train.
void AddDashboardCommand(Command app);

}  // namespace fathom
