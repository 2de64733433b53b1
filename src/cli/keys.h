#pragma once

#include <CLI/CLI.hpp>

namespace fathom {

// fathom keys create|list|change|revoke
void AddKeysCommand(CLI::App& app);

}  // namespace fathom
