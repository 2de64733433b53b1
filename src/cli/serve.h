#pragma once

#include <CLI/CLI.hpp>

namespace fathom {

// fathom serve MODEL
void AddServeCommand(CLI::App& app);

}  // namespace fathom
