#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace fathom {

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD

bool IsValidUtf8(std::string_view text);

// Every ill-formed sequence becomes one U+FFFD, by the practice of maximal subparts (The Unicode
// Standard, section 3.9, "U+FFFD Substitution of Maximal Subparts"); Python's errors="replace" does
// the same. Surrogates and overlong forms are ill-formed.
std::string ReplaceInvalidUtf8(std::string_view text);

// The length of a character's beginning at the very end of `text` that more bytes could still
// complete; 0 when there is none.
size_t IncompleteUtf8Tail(std::string_view text);

// Appends one code point, which has to be a scalar value.
void AppendUtf8(char32_t code_point, std::string& out);

}  // namespace fathom
