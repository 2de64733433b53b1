#pragma once

#include "cli/options/command.h"

namespace fathom {

// fathom train run.toml.
void AddTrainCommand(Command app);

}  // namespace fathom
