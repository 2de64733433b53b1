#pragma once

#include "cli/options/command.h"

namespace fathom {

// fathom bench: the speed of prefill and decode.
void AddBenchCommand(Command app);

}  // namespace fathom
