#pragma once

#include "cli/options/command.h"

namespace fathom {

// fathom score: the log-probability of every token of a text.
void AddScoreCommand(Command app);

}  // namespace fathom
