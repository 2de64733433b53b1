#include "text/jinja/python_text.h"

#include <fmt/format.h>
#include <string.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "text/jinja/case_mapping.h"
#include "text/regex.h"
#include "text/utf8.h"

namespace fathom::jinja {

char32_t CharacterAt(std::string_view text, size_t offset) {
  const size_t length = CharacterLength(text[offset]);
  const auto lead = static_cast<uint8_t>(text[offset]);
  if (length == 1) return lead;
  char32_t character = lead & (0xFF >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    character = character << 6 | (static_cast<uint8_t>(text[offset + i]) & 0x3F);
  }
  return character;
}

size_t CountCharacters(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char byte) { return !IsContinuation(byte); }));
}

size_t OffsetOfCharacter(std::string_view text, size_t index) {
  size_t offset = 0;
  for (; index > 0 && offset < text.size(); --index) offset += CharacterLength(text[offset]);
  return offset;
}

size_t PreviousCharacter(std::string_view text, size_t offset) {
  do --offset;
  while (IsContinuation(text[offset]));
  return offset;
}

bool IsSpace(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

size_t LeadingSpace(std::string_view text) {
  size_t end = 0;
  while (end < text.size() && IsSpace(CharacterAt(text, end))) end += CharacterLength(text[end]);
  return end;
}

size_t TrailingSpace(std::string_view text) {
  size_t begin = text.size();
  while (begin > 0) {
    const size_t before = PreviousCharacter(text, begin);
    if (!IsSpace(CharacterAt(text, before))) break;
    begin = before;
  }
  return text.size() - begin;
}

bool IsInClass(char32_t character, CharacterClass character_class) {
  // In the order of CharacterClass.
  static const std::array<Regex, 8> kClasses = {
      Regex(R"(\p{L})", "class"),
      Regex(R"(\p{Nd})", "class"),
      Regex(R"([\p{Nd}²³¹⁰⁴-⁹₀-₉①-⑨])", "class"),
      Regex(R"(\p{N})", "class"),
      Regex(R"([\p{L}\p{N}])", "class"),
      Regex(R"(\p{Lu})", "class"),
      Regex(R"(\p{Ll})", "class"),
      Regex(R"([^\p{C}\p{Z}])", "class"),
  };
  if (character == ' ' && character_class == CharacterClass::kPrintable) return true;
  std::string text;
  AppendUtf8(character, text);
  return kClasses[static_cast<size_t>(character_class)].Find(text, 0).has_value();
}

std::string ToUpper(std::string_view text) { return MapCase(text, /*upper=*/true); }
std::string ToLower(std::string_view text) { return MapCase(text, /*upper=*/false); }

size_t FindText(std::string_view text, std::string_view wanted, size_t start) {
  if (start > text.size() || wanted.size() > text.size() - start) return std::string_view::npos;
  if (wanted.empty()) return start;
  const void* found =
      memmem(text.data() + start, text.size() - start, wanted.data(), wanted.size());
  return found == nullptr ? std::string_view::npos
                          : static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

size_t FindLastText(std::string_view text, std::string_view wanted) {
  const std::string reversed_text(text.rbegin(), text.rend());
  const std::string reversed_wanted(wanted.rbegin(), wanted.rend());
  const size_t found = FindText(reversed_text, reversed_wanted);
  return found == std::string_view::npos ? found : text.size() - found - wanted.size();
}

std::string FloatRepr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string DecodeEscapes(std::string_view literal) {
  std::string out;
  size_t i = 0;
  char32_t high_surrogate = 0;
  const auto append = [&](char32_t character) {
    const bool is_low = character >= 0xDC00 && character <= 0xDFFF;
    if (high_surrogate != 0 && is_low) {
      character = 0x10000 + ((high_surrogate - 0xD800) << 10) + (character - 0xDC00);
      high_surrogate = 0;
    }
    if (high_surrogate != 0) out += kReplacementCharacter;
    high_surrogate = character >= 0xD800 && character <= 0xDBFF ? character : 0;
    if (high_surrogate != 0) return;
    if (character > 0x10FFFF || (character >= 0xDC00 && character <= 0xDFFF)) character = 0xFFFD;
    AppendUtf8(character, out);
  };
  // Digits of a base at i + 2, at most `count`; false when there are fewer than `least`.
  const auto number = [&](size_t begin, size_t least, size_t count, unsigned base,
                          char32_t& value) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    size_t used = 0;
    for (value = 0; used < count && begin + used < literal.size(); ++used) {
      const char c = literal[begin + used];
      const size_t digit = kDigits.find(c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c);
      if (digit >= base) break;
      value = value * base + static_cast<char32_t>(digit);
    }
    if (used < least) return false;
    i = begin + used;
    return true;
  };
  while (i < literal.size()) {
    if (literal[i] != '\\' || i + 1 == literal.size()) {
      append(CharacterAt(literal, i));
      i += CharacterLength(literal[i]);
      continue;
    }
    constexpr std::string_view kPlain = "\\'\"abfnrtv";
    constexpr std::string_view kMeaning = "\\'\"\a\b\f\n\r\t\v";
    const char c = literal[i + 1];
    char32_t value = 0;
    if (const size_t plain = kPlain.find(c); plain != std::string_view::npos) {
      append(static_cast<char32_t>(kMeaning[plain]));
      i += 2;
    } else if (c == '\n') {
      i += 2;
    } else if ((c >= '0' && c <= '7' && number(i + 1, 1, 3, 8, value)) ||
               (c == 'x' && number(i + 2, 2, 2, 16, value)) ||
               (c == 'u' && number(i + 2, 4, 4, 16, value)) ||
               (c == 'U' && number(i + 2, 8, 8, 16, value))) {
      append(value);
    } else {
      append('\\');
      ++i;
    }
  }
  if (high_surrogate != 0) out += kReplacementCharacter;
  return out;
}

}  // namespace fathom::jinja
