#pragma once

#include "cli/options/command.h"

namespace fathom {

// fathom train run.toml.
void AddRlCommand(Command app);

}  // namespace fathom
