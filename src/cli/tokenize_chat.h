#pragma once

#include "cli/options/command.h"

namespace fathom {

// fathom tokenize chat: what a conversation becomes for a model.
void AddTokenizeChatCommand(Command parent);

}  // namespace fathom
