#include "text/unicode.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

namespace fathom {
namespace {

#include "text/unicode_tables.inc"

constexpr size_t kCodePoints = 0x110000;

// Calls emit(category, first, last) for all code points in order.
template <typename Emit>
void ForEachRun(Emit emit) {
  char32_t next = 0;
  for (std::string_view rest = kCategoryRuns; !rest.empty();) {
    const std::string_view category = rest.substr(0, 2);
    const size_t space = rest.find(' ');
    uint32_t count = 0;
    for (const char digit : rest.substr(2, space - 2)) count = count * 10 + (digit - '0');
    rest.remove_prefix(space + 1);
    if (category == "LC") {
      for (; count > 0; --count, next += 2) {
        emit("Lu", next, next);
        emit("Ll", next + 1, next + 1);
      }
    } else {
      emit(category, next, next + count - 1);
      next += count;
    }
  }
}

uint16_t ClassOfCategory(std::string_view category) {
  const bool word = category == "Nd" || category == "Nl" || category == "Pc";
  const uint16_t word_bit = word ? kWord : 0;
  switch (category[0]) {
    case 'L':
      return kLetter | kWord;
    case 'M':
      return kMark | kWord;
    case 'N':
      return kNumber | kNumericStep | word_bit;
    case 'P':
      return kPunctuation | kPunctuationStep | word_bit;
    case 'S':
      return kSymbol;
    case 'Z':
      return kSpace;
    default:
      return 0;
  }
}

internal::ClassTable MakeClassTable() {
  std::vector<uint16_t> flat(kCodePoints);
  const auto set = [&](char32_t first, char32_t last, uint16_t bits) {
    for (char32_t c = first; c <= last; ++c) flat[c] |= bits;
  };
  const auto clear = [&](char32_t first, char32_t last, uint16_t bits) {
    for (char32_t c = first; c <= last; ++c) flat[c] &= static_cast<uint16_t>(~bits);
  };
  ForEachRun([&](std::string_view category, char32_t first, char32_t last) {
    if (const uint16_t bits = ClassOfCategory(category)) set(first, last, bits);
  });
  set(0x09, 0x0D, kSpace);
  set(0x85, 0x85, kSpace);
  set('\n', '\n', kNewline);
  set('\r', '\r', kNewline);
  set('A', 'Z', kAsciiLetter);
  set('a', 'z', kAsciiLetter);
  for (const char c : std::string_view("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")) {
    set(c, c, kAsciiPunctuation | kPunctuationStep);
  }
  // \w also holds two joiners and, as Other_Alphabetic, circled and squared letters.
  set(0x200C, 0x200D, kWord);
  set(0x24B6, 0x24E9, kWord);
  set(0x1F130, 0x1F149, kWord);
  set(0x1F150, 0x1F169, kWord);
  set(0x1F170, 0x1F189, kWord);
  for (const auto& [first, last] : kNewNumeric) set(first, last, kNumericStep);
  for (const auto& [first, last] : kNotYetPunctuation) clear(first, last, kPunctuationStep);
  set(0x166D, 0x166D, kPunctuationStep);
  set(0x111C9, 0x111C9, kPunctuationStep);
  for (const auto& [first, last] : kNotNormalizedRanges) set(first, last, kNotNormalized);

  internal::ClassTable table;
  std::map<std::vector<uint16_t>, uint16_t> known;
  for (size_t row = 0; row < kCodePoints / 256; ++row) {
    const auto begin = flat.begin() + static_cast<ptrdiff_t>(row * 256);
    std::vector<uint16_t> content(begin, begin + 256);
    const auto number = static_cast<uint16_t>(known.size());
    const auto [found, is_new] = known.emplace(std::move(content), number);
    if (is_new) table.classes.insert(table.classes.end(), begin, begin + 256);
    table.rows.push_back(found->second);
  }
  return table;
}

void Append(std::vector<CodePointRange>& ranges, char32_t first, char32_t last) {
  if (!ranges.empty() && ranges.back().last + 1 == first) {
    ranges.back().last = last;
  } else {
    ranges.push_back({first, last});
  }
}

}  // namespace

const internal::ClassTable& internal::Classes() {
  static const ClassTable table = MakeClassTable();
  return table;
}

std::vector<CodePointRange> CodePointsOf(std::string_view property) {
  std::vector<CodePointRange> ranges;
  if (property == "Han") return {std::begin(kHan), std::end(kHan)};
  if (property.empty() || property.size() > 2) return ranges;
  ForEachRun([&](std::string_view category, char32_t first, char32_t last) {
    if (category.starts_with(property)) Append(ranges, first, last);
  });
  return ranges;
}

std::vector<CodePointRange> ChangedSinceUnicode14(const std::vector<CodePointRange>& ranges) {
  std::vector<CodePointRange> changed;
  for (const CodePointRange& range : ranges) {
    for (const auto& [first, last] : kChangedSinceUnicode14) {
      const char32_t begin = std::max(range.first, first), end = std::min(range.last, last);
      if (begin <= end) Append(changed, begin, end);
    }
  }
  return changed;
}

std::vector<CodePointRange> Complement(const std::vector<CodePointRange>& ranges) {
  std::vector<CodePointRange> rest;
  char32_t next = 0;
  for (const CodePointRange& range : ranges) {
    if (range.first > next) rest.push_back({next, range.first - 1});
    next = range.last + 1;
  }
  if (next < kCodePoints) rest.push_back({next, kCodePoints - 1});
  return rest;
}

}  // namespace fathom
