#pragma once

#include "cli/options/command.h"

namespace fathom {

// fathom inspect: what a model, a preset or a weight file is made of.
void AddInspectCommand(Command app);

}  // namespace fathom
