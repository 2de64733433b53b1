#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace fathom {

struct CodePointRange {
  char32_t first, last;
};

// What tokenizers split text by. One bit a set of characters; which characters are in them is what
// Hugging Face `tokenizers` says (scripts/parity/unicode_tables.py), whatever the version of
// Unicode that this machine's libraries know.
enum CharacterClass : uint16_t {
  kLetter = 1 << 0,            // \p{L}
  kMark = 1 << 1,              // \p{M}
  kNumber = 1 << 2,            // \p{N}
  kPunctuation = 1 << 3,       // \p{P}
  kSymbol = 1 << 4,            // \p{S}
  kSpace = 1 << 5,             // \s: the property White_Space
  kNewline = 1 << 6,           // \r and \n
  kAsciiLetter = 1 << 7,       // A-Z a-z
  kAsciiPunctuation = 1 << 8,  // the 32 of them
  // \w of the Whitespace step and of single_word. The \w of patterns is another one (regex.h).
  kWord = 1 << 9,
  kNumericStep = 1 << 10,      // what the Digits step cuts out
  kPunctuationStep = 1 << 11,  // what the Punctuation step cuts out
  kNotNormalized = 1 << 12,    // newer than the Unicode of the normalizers
};

namespace internal {
// Classes by code point: the rows of 256 code points that `rows` names.
struct ClassTable {
  std::vector<uint16_t> rows;
  std::vector<uint16_t> classes;
};
const ClassTable& Classes();
}  // namespace internal

// Looks classes up; to be kept outside of loops.
class ClassLookup {
 public:
  ClassLookup()
      : rows_(internal::Classes().rows.data()), classes_(internal::Classes().classes.data()) {}

  // The bits of CharacterClass; code_point <= 0x10FFFF.
  uint16_t operator()(char32_t code_point) const {
    return classes_[size_t{rows_[code_point >> 8]} * 256 + (code_point & 255)];
  }
  // The same of an ASCII character.
  uint16_t Ascii(uint8_t byte) const { return classes_[byte]; }

 private:
  const uint16_t* rows_;
  const uint16_t* classes_;
};

// The code points of a general category ("L", "Lu", ...) or of "Han", ascending; empty when there
// is no such name here.
std::vector<CodePointRange> CodePointsOf(std::string_view property);

// Those among `ranges` whose category is not that of Unicode 14.
std::vector<CodePointRange> ChangedSinceUnicode14(const std::vector<CodePointRange>& ranges);

// All code points but those of `ranges`, which are ascending.
std::vector<CodePointRange> Complement(const std::vector<CodePointRange>& ranges);

// Walks over valid UTF-8: the code point that begins at *p; moves p behind it.
inline char32_t NextCodePoint(const char*& p) {
  const auto byte = [&](int i) { return static_cast<uint8_t>(p[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) {
    ++p;
    return lead;
  }
  char32_t code_point;
  if (lead < 0xE0) {
    code_point = ((lead & 0x1Fu) << 6) | (byte(1) & 0x3Fu);
    p += 2;
  } else if (lead < 0xF0) {
    code_point = ((lead & 0x0Fu) << 12) | ((byte(1) & 0x3Fu) << 6) | (byte(2) & 0x3Fu);
    p += 3;
  } else {
    code_point = ((lead & 0x07u) << 18) | ((byte(1) & 0x3Fu) << 12) | ((byte(2) & 0x3Fu) << 6) |
                 (byte(3) & 0x3Fu);
    p += 4;
  }
  return code_point;
}

// The start of the character that ends at byte `end` > 0 of valid UTF-8.
inline size_t PreviousCharacter(std::string_view text, size_t end) {
  do --end;
  while ((static_cast<uint8_t>(text[end]) & 0xC0) == 0x80);
  return end;
}

}  // namespace fathom
