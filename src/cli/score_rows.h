#pragma once

#include <filesystem>
#include <optional>

#include "model/precision.h"
#include "ops/context.h"

namespace fathom {

// Scores the rows of a JSON-lines file (docs/reward-models.md) with a reward model, and writes a
// line of JSON a row on stdout: {"score": s}, or of rows with "chosen" and "rejected"
// {"chosen_score": b, "rejected_score": w}. Throws Error that names file and line of a row that
// cannot be read, or is longer than the model's context.
void ScoreRows(Context& context, const std::filesystem::path& model,
               std::optional<Precision> precision, const std::filesystem::path& rows, bool quiet);

}  // namespace fathom
