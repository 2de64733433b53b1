#pragma once

#include <CLI/CLI.hpp>

namespace fathom {

// `fathom eval`: how good a model is at a task, or at predicting texts.
void AddEvalCommand(CLI::App& app);

}  // namespace fathom
