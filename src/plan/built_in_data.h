#pragma once

#include <string_view>

namespace fathom {

// The text of src/plan/data/NAME.toml ("hardware", "money", "prices", "service"), which the build
// puts into the binary.
std::string_view BuiltInData(std::string_view name);

}  // namespace fathom
