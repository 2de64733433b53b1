#include "text/grammar/characters.h"

#include <algorithm>
#include <string>

#include "text/grammar/between.h"
#include "text/utf8.h"

namespace fathom::grammar {
namespace {

constexpr char32_t kLast = 0x10FFFF, kFirstSurrogate = 0xD800, kLastSurrogate = 0xDFFF;

std::string Encoded(char32_t character) {
  std::string text;
  AppendUtf8(character, text);
  return text;
}

}  // namespace

CharacterSet::CharacterSet(std::vector<std::pair<char32_t, char32_t>> ranges) {
  std::vector<std::pair<char32_t, char32_t>> parts;
  for (auto [first, last] : ranges) {
    last = std::min(last, kLast);
    if (first < kFirstSurrogate)
      parts.emplace_back(first, std::min<char32_t>(last, kFirstSurrogate - 1));
    if (last > kLastSurrogate)
      parts.emplace_back(std::max<char32_t>(first, kLastSurrogate + 1), last);
  }
  std::erase_if(parts, [](const auto& part) { return part.first > part.second; });
  std::ranges::sort(parts);
  for (const auto& [first, last] : parts) {
    if (!ranges_.empty() && first <= ranges_.back().second + 1) {
      ranges_.back().second = std::max(ranges_.back().second, last);
    } else {
      ranges_.emplace_back(first, last);
    }
  }
}

bool CharacterSet::Has(char32_t character) const {
  return std::ranges::any_of(ranges_, [&](const auto& range) {
    return range.first <= character && character <= range.second;
  });
}

CharacterSet CharacterSet::Complement() const {
  std::vector<std::pair<char32_t, char32_t>> gaps;
  char32_t next = 0;
  for (const auto& [first, last] : ranges_) {
    if (first > next) gaps.emplace_back(next, first - 1);
    next = last + 1;
  }
  if (next <= kLast) gaps.emplace_back(next, kLast);
  return CharacterSet(std::move(gaps));
}

CharacterSet CharacterSet::With(const CharacterSet& other) const {
  std::vector<std::pair<char32_t, char32_t>> ranges = ranges_;
  ranges.insert(ranges.end(), other.ranges_.begin(), other.ranges_.end());
  return CharacterSet(std::move(ranges));
}

CharacterSet CharacterSet::Without(const CharacterSet& other) const {
  return Complement().With(other).Complement();
}

CharacterSet CharacterSet::Both(const CharacterSet& other) const {
  return Without(other.Complement());
}

Expression Utf8(const CharacterSet& set) {
  std::vector<Expression> out;
  // A range is cut where encodings become longer.
  constexpr char32_t kEnds[] = {0x7F, 0x7FF, 0xFFFF, kLast};
  for (const auto& [first, last] : set.ranges()) {
    char32_t begin = first;
    for (const char32_t end : kEnds) {
      if (begin > end || begin > last) continue;
      const char32_t part_end = std::min(last, end);
      AddBetween(Encoded(begin), Encoded(part_end), 0x80, 0xBF, out);
      begin = part_end + 1;
    }
  }
  return Expression::Choice(std::move(out));
}

}  // namespace fathom::grammar
