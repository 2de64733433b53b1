#pragma once

#include <CLI/CLI.hpp>

namespace fathom {

// fathom convert: a model in another precision or layout.
void AddConvertCommand(CLI::App& app);

}  // namespace fathom
