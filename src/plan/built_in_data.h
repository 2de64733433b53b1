#pragma once

#include <string_view>

namespace fathom {

// The text of src/plan/data/NAME.toml ("fleet", "hardware", "market", "money", "prices", "rules",
// "service"), which the build puts into the binary.
std::string_view BuiltInData(std::string_view name);

}  // namespace fathom
