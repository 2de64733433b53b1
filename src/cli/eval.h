#pragma once

#include "cli/options/command.h"

namespace fathom {

// `fathom eval`: how good a model is at a task, or at predicting texts.
void AddEvalCommand(Command app);

}  // namespace fathom
