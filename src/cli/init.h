#pragma once

#include <CLI/CLI.hpp>

namespace fathom {

// fathom init: a model directory with random weights.
void AddInitCommand(CLI::App& app);

}  // namespace fathom
