#pragma once

#include <CLI/CLI.hpp>

namespace fathom {

// fathom tokenize train | encode | decode.
void AddTokenizeCommand(CLI::App& app);

}  // namespace fathom
