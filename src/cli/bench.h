#pragma once

#include <CLI/CLI.hpp>

namespace fathom {

// fathom bench: the speed of prefill and decode.
void AddBenchCommand(CLI::App& app);

}  // namespace fathom
