#pragma once

#include "cli/options/command.h"

namespace fathom {

// fathom chat: a conversation in the terminal.
void AddChatCommand(Command app);

}  // namespace fathom
