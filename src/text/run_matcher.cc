#include "text/run_matcher.h"

#include <algorithm>
#include <string>
#include <utility>

namespace fathom {
namespace {

struct InClasses {
  uint16_t classes;
  ClassLookup lookup;
  bool operator()(char32_t c) const { return (lookup(c) & classes) != 0; }
};

// Ranges in ascending order.
struct InRanges {
  std::vector<CodePointRange> ranges;
  bool operator()(char32_t c) const {
    const auto above = std::upper_bound(
        ranges.begin(), ranges.end(), c,
        [](char32_t value, const CodePointRange& range) { return value < range.first; });
    return above != ranges.begin() && c <= std::prev(above)->last;
  }
};

template <typename IsMember>
class RunMatcher final : public Matcher {
 public:
  RunMatcher(IsMember is_member, const RunOptions& options)
      : is_member_(std::move(is_member)), options_(options) {
    for (char32_t c = 0; c < 128; ++c) ascii_[c] = is_member_(c);
  }

  std::optional<TextRange> Find(std::string_view text, size_t start) const override {
    const char* const begin = text.data();
    const char* const end = begin + text.size();
    const char* space = nullptr;  // the character before p, where it is white space
    for (const char* p = begin + start; p < end;) {
      const char* const here = p;
      const char32_t c = NextCodePoint(p);
      if (Has(c)) {
        size_t count = 1;
        while (p < end && count < options_.at_most) {
          const char* next = p;
          if (!Has(NextCodePoint(next))) break;
          p = next;
          ++count;
        }
        return TextRange{static_cast<size_t>((space != nullptr ? space : here) - begin),
                         static_cast<size_t>(p - begin)};
      }
      if (options_.space_before) space = classes_(c) & kSpace ? here : nullptr;
    }
    return std::nullopt;
  }

 private:
  bool Has(char32_t c) const { return c < 128 ? ascii_[c] : is_member_(c); }

  IsMember is_member_;
  RunOptions options_;
  ClassLookup classes_;
  std::array<bool, 128> ascii_;
};

class Literal final : public Matcher {
 public:
  explicit Literal(std::string_view literal) : literal_(literal) {}

  std::optional<TextRange> Find(std::string_view text, size_t start) const override {
    const size_t at = text.find(literal_, start);
    if (at == std::string_view::npos) return std::nullopt;
    return TextRange{at, at + literal_.size()};
  }

 private:
  std::string literal_;
};

class WordsAndSigns final : public Matcher {
 public:
  std::optional<TextRange> Find(std::string_view text, size_t start) const override {
    const char* const begin = text.data();
    const char* const end = begin + text.size();
    for (const char* p = begin + start; p < end;) {
      const char* const here = p;
      const Kind kind = KindOf(NextCodePoint(p));
      if (kind == Kind::kSpace) continue;
      while (p < end) {
        const char* next = p;
        if (KindOf(NextCodePoint(next)) != kind) break;
        p = next;
      }
      return TextRange{static_cast<size_t>(here - begin), static_cast<size_t>(p - begin)};
    }
    return std::nullopt;
  }

 private:
  enum class Kind { kWord, kSpace, kSign };
  Kind KindOf(char32_t c) const {
    const uint16_t classes = classes_(c);
    return classes & kWord ? Kind::kWord : classes & kSpace ? Kind::kSpace : Kind::kSign;
  }

  ClassLookup classes_;
};

class SpaceAtLineEnd final : public Matcher {
 public:
  std::optional<TextRange> Find(std::string_view text, size_t start) const override {
    const char* const begin = text.data();
    const char* const end = begin + text.size();
    for (const char* p = begin + start; p < end;) {
      const char* const here = p;
      if (!(classes_(NextCodePoint(p)) & kSpace)) continue;
      // The run of white space, and the last of its newlines that has something of it before.
      const char* newline = nullptr;
      while (p < end) {
        const char* next = p;
        if (!(classes_(NextCodePoint(next)) & kSpace)) break;
        if (*p == '\n') newline = p;
        p = next;
      }
      const char* const match_end = p == end ? end : newline;
      if (match_end != nullptr) {
        return TextRange{static_cast<size_t>(here - begin), static_cast<size_t>(match_end - begin)};
      }
    }
    return std::nullopt;
  }

 private:
  ClassLookup classes_;
};

}  // namespace

std::unique_ptr<const Matcher> MakeClassRun(uint16_t classes, const RunOptions& options) {
  return std::make_unique<RunMatcher<InClasses>>(InClasses{classes, {}}, options);
}

std::unique_ptr<const Matcher> MakeRangeRun(std::vector<CodePointRange> ranges,
                                            const RunOptions& options) {
  std::sort(ranges.begin(), ranges.end(),
            [](const CodePointRange& a, const CodePointRange& b) { return a.first < b.first; });
  return std::make_unique<RunMatcher<InRanges>>(InRanges{std::move(ranges)}, options);
}

std::unique_ptr<const Matcher> MakeLiteral(std::string_view literal) {
  return std::make_unique<Literal>(literal);
}

std::unique_ptr<const Matcher> MakeWordsAndSigns() { return std::make_unique<WordsAndSigns>(); }

std::unique_ptr<const Matcher> MakeSpaceAtLineEnd() { return std::make_unique<SpaceAtLineEnd>(); }

}  // namespace fathom
