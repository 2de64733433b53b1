#pragma once

#include <CLI/CLI.hpp>

namespace fathom {

// fathom tokenize train | encode | decode | chat.
void AddTokenizeCommand(CLI::App& app);

}  // namespace fathom
