#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace fathom {

// Bytes [begin, end) of a text.
struct TextRange {
  size_t begin, end;
};

// Finds what one step of a pre-tokeniser cuts at.
class Matcher {
 public:
  virtual ~Matcher() = default;

  // The first match at or after byte `start` of `text`, which has to be valid UTF-8, `start` on a
  // character's border. Look-ahead and look-behind see all of `text`, and nothing around it.
  virtual std::optional<TextRange> Find(std::string_view text, size_t start) const = 0;
};

}  // namespace fathom
