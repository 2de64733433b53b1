#pragma once

#include "cli/options/command.h"

namespace fathom {

// fathom tokenize train | encode | decode | chat.
void AddTokenizeCommand(Command app);

}  // namespace fathom
