#pragma once

#include "cli/options/command.h"

namespace fathom {

// fathom serve MODEL
void AddServeCommand(Command app);

}  // namespace fathom
