#pragma once

#include <CLI/CLI.hpp>

namespace fathom {

// fathom tokenize chat: what a conversation becomes for a model.
void AddTokenizeChatCommand(CLI::App& parent);

}  // namespace fathom
