#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace fathom {

// The candidate with the smallest edit distance to `word` (of several the one that begins most like
// it), if it is close enough to be a typo, or else one that begins with it.
std::optional<std::string> Nearest(std::string_view word,
                                   const std::set<std::string, std::less<>>& candidates);

// What to say of a word that is none of the candidates: "did you mean 'NEAREST'?", or `otherwise`
// where nothing is near.
std::string NearestHint(std::string_view word, const std::set<std::string, std::less<>>& candidates,
                        std::string_view otherwise);

}  // namespace fathom
