#pragma once

#include <utility>
#include <vector>

#include "text/grammar/expression.h"

namespace fathom::grammar {

// A set of Unicode scalar values: [first, last] ranges, ascending and apart.
class CharacterSet {
 public:
  CharacterSet() = default;
  // Ranges in any order, overlapping or not; surrogates and what is beyond U+10FFFF fall away.
  explicit CharacterSet(std::vector<std::pair<char32_t, char32_t>> ranges);
  static CharacterSet All() { return CharacterSet({{0, 0x10FFFF}}); }

  const std::vector<std::pair<char32_t, char32_t>>& ranges() const { return ranges_; }
  bool empty() const { return ranges_.empty(); }
  bool Has(char32_t character) const;
  CharacterSet Complement() const;
  CharacterSet Without(const CharacterSet& other) const;
  CharacterSet With(const CharacterSet& other) const;
  CharacterSet Both(const CharacterSet& other) const;

 private:
  std::vector<std::pair<char32_t, char32_t>> ranges_;
};

// One character of the set, as well-formed UTF-8.
Expression Utf8(const CharacterSet& set);

}  // namespace fathom::grammar
