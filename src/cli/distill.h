#pragma once

#include "cli/options/command.h"

namespace fathom {

// fathom distill DISTILL.toml: a teacher's answers, what of them is kept, a student tuned on them.
void AddDistillCommand(Command app);

}  // namespace fathom
