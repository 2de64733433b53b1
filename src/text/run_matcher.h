#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string_view>
#include <vector>

#include "text/matcher.h"
#include "text/unicode.h"

namespace fathom {

// What matchers of character runs look for.
struct RunOptions {
  size_t at_most = std::numeric_limits<size_t>::max();  // characters, without the space
  bool space_before = false;                            // \s? comes before
};

// [set]+ for the characters that have one of the bits of CharacterClass `classes`.
std::unique_ptr<const Matcher> MakeClassRun(uint16_t classes, const RunOptions& options);

// [set]+ for the characters of some ranges, in any order.
std::unique_ptr<const Matcher> MakeRangeRun(std::vector<CodePointRange> ranges,
                                            const RunOptions& options);

// A string as it stands. An empty one matches between all characters.
std::unique_ptr<const Matcher> MakeLiteral(std::string_view literal);

// The Whitespace step's words: \w+|[^\w\s]+ with its own \w (kWord).
std::unique_ptr<const Matcher> MakeWordsAndSigns();

// \s+$
std::unique_ptr<const Matcher> MakeSpaceAtLineEnd();

}  // namespace fathom
