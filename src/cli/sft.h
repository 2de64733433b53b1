#pragma once

#include <CLI/CLI.hpp>

namespace fathom {

// fathom train run.toml.
void AddSftCommand(CLI::App& app);

}  // namespace fathom
