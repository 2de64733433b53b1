#pragma once

#include <CLI/CLI.hpp>

namespace fathom {

// `fathom problems`: generated problems with verifiable answers.
void AddProblemsCommand(CLI::App& app);

}  // namespace fathom
