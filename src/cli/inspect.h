#pragma once

#include <CLI/CLI.hpp>

namespace fathom {

// fathom inspect: what a model, a preset or a weight file is made of.
void AddInspectCommand(CLI::App& app);

}  // namespace fathom
