#pragma once

#include <CLI/CLI.hpp>

namespace fathom {

// fathom train run.toml.
void AddTrainCommand(CLI::App& app);

}  // namespace fathom
