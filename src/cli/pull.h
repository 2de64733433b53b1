#pragma once

#include "cli/options/command.h"

namespace fathom {

// `fathom pull`: downloads a model from a hub.
void AddPullCommand(Command app);

}  // namespace fathom
