#pragma once

#include <optional>
#include <string_view>

namespace fathom::grammar {

// The pattern (pattern.h) of a "format" of JSON Schema; nothing where there is none for it. Each
// allows less than its format does, and nothing that it does not.
std::optional<std::string_view> PatternOfFormat(std::string_view format);

}  // namespace fathom::grammar
