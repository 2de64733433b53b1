#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace fathom {

// The candidate with the smallest edit distance to `word`, if it is close enough to be a typo, or
// else one that begins with it.
std::optional<std::string> Nearest(std::string_view word,
                                   const std::set<std::string, std::less<>>& candidates);

}  // namespace fathom
