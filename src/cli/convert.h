#pragma once

#include "cli/options/command.h"

namespace fathom {

// fathom convert: a model in another precision or layout.
void AddConvertCommand(Command app);

}  // namespace fathom
