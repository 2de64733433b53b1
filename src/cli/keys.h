#pragma once

#include "cli/options/command.h"

namespace fathom {

// fathom keys create|list|change|revoke
void AddKeysCommand(Command app);

}  // namespace fathom
