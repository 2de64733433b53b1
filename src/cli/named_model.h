#pragma once

#include <string>

#include "model/config.h"

namespace fathom {

// The configuration of a model directory, a .gguf file, a config.json, a preset or a published
// model (plan/architecture.h). Throws Error for a path that does not exist, UsageError for another
// name.
ModelConfig ConfigOf(const std::string& what);

}  // namespace fathom
