#pragma once

#include <CLI/CLI.hpp>

namespace fathom {

// fathom plan: what training and serving cost, before anything runs.
void AddPlanCommand(CLI::App& app);

}  // namespace fathom
