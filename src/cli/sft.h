#pragma once

#include "cli/options/command.h"

namespace fathom {

// fathom train run.toml.
void AddSftCommand(Command app);

}  // namespace fathom
