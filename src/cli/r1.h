#pragma once

#include "cli/options/command.h"

namespace fathom {

// `fathom r1`.
void AddR1Command(Command app);

}  // namespace fathom
