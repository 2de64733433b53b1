#pragma once

#include "cli/options/command.h"

namespace fathom {

// `fathom problems`: generated problems with verifiable answers.
void AddProblemsCommand(Command app);

}  // namespace fathom
