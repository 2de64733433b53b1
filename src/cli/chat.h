#pragma once

#include <CLI/CLI.hpp>

namespace fathom {

// fathom chat: a conversation in the terminal.
void AddChatCommand(CLI::App& app);

}  // namespace fathom
