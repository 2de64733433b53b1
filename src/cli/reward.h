#pragma once

#include "cli/options/command.h"

namespace fathom {

// fathom reward reward.toml.
void AddRewardCommand(Command app);

}  // namespace fathom
