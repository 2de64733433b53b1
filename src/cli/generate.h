#pragma once

#include "cli/options/command.h"

namespace fathom {

// fathom generate: text that continues a prompt.
void AddGenerateCommand(Command app);

}  // namespace fathom
