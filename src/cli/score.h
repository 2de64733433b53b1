#pragma once

#include <CLI/CLI.hpp>

namespace fathom {

// fathom score: the log-probability of every token of a text.
void AddScoreCommand(CLI::App& app);

}  // namespace fathom
