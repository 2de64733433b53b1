#pragma once

#include "cli/options/command.h"

namespace fathom {

// fathom init: a model directory with random weights.
void AddInitCommand(Command app);

}  // namespace fathom
