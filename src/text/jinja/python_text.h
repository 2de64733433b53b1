#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// What Python's str knows about text, over well-formed UTF-8. Classes and case are those of PCRE2's
// Unicode version; case mappings are from one character to one (so "ß" stays as it is in upper
// case).
namespace fathom::jinja {

// Bytes of the character that begins with this byte.
inline size_t CharacterLength(char lead) {
  const auto byte = static_cast<uint8_t>(lead);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}
inline bool IsContinuation(char byte) { return (static_cast<uint8_t>(byte) & 0xC0) == 0x80; }

// The character at byte `offset`.
char32_t CharacterAt(std::string_view text, size_t offset);
size_t CountCharacters(std::string_view text);
// The byte where character `index` begins; text.size() when there are not so many.
size_t OffsetOfCharacter(std::string_view text, size_t index);
// The byte where the character before the one at `offset` begins; offset is not 0.
size_t PreviousCharacter(std::string_view text, size_t offset);

// str.isspace() of one character.
bool IsSpace(char32_t character);
// How many bytes of white space `text` begins (ends) with.
size_t LeadingSpace(std::string_view text);
size_t TrailingSpace(std::string_view text);

enum class CharacterClass {
  kAlpha,
  kDecimal,
  kDigit,
  kNumeric,
  kAlnum,
  kUpper,
  kLower,
  kPrintable
};
bool IsInClass(char32_t character, CharacterClass character_class);

std::string ToUpper(std::string_view text);
std::string ToLower(std::string_view text);

// The first (last) occurrence, or npos; in time linear in both lengths.
size_t FindText(std::string_view text, std::string_view wanted, size_t start = 0);
size_t FindLastText(std::string_view text, std::string_view wanted);

// repr() of a float: the shortest digits that give it back.
std::string FloatRepr(double value);

// What a string literal's inside stands for: \n, \x41, \u00e9, ... An escape that Python does not
// know stays as it is; half a surrogate pair becomes U+FFFD.
std::string DecodeEscapes(std::string_view literal);

}  // namespace fathom::jinja
