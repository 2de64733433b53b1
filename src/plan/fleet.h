#pragma once

#include <filesystem>
#include <optional>

#include "plan/sourced_value.h"

namespace fathom {

// How a fleet is shared and used, and what was published of one, as src/plan/data/fleet.toml
// describes it.
struct Fleet {
  SourcedValue research, training, inference;  // shares of the devices; the rest is other work
  SourcedValue operating_years;
  SourcedValue answer_tokens, answers_per_user, patience, queue, closing;

  struct Published {
    SourcedValue v1_capital, v1_operating, v2_capital, v2_operating, v2_hopper_capital, v2_yearly,
        v2_hopper_yearly;
  } published;

  static Fleet Load(const std::optional<std::filesystem::path>& over = {});
};

}  // namespace fathom
