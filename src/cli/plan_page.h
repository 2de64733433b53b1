#pragma once

#include <CLI/CLI.hpp>

namespace fathom {

// fathom plan page: the planner in a browser.
void AddPlanPageCommand(CLI::App& plan);

}  // namespace fathom
