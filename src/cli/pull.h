#pragma once

#include <CLI/CLI.hpp>

namespace fathom {

// `fathom pull`: downloads a model from a hub.
void AddPullCommand(CLI::App& app);

}  // namespace fathom
