#pragma once

#include <CLI/CLI.hpp>

namespace fathom {

// fathom train run.toml.
void AddRlCommand(CLI::App& app);

}  // namespace fathom
