#pragma once

#include <CLI/CLI.hpp>

namespace fathom {

// fathom generate: text that continues a prompt.
void AddGenerateCommand(CLI::App& app);

}  // namespace fathom
