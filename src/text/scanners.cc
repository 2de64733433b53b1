#include "text/scanners.h"

#include <string>
#include <vector>

#include "text/run_matcher.h"
#include "text/unicode.h"

namespace fathom {

// The letters that have upper and lower case, as of some version of Unicode.
const std::string_view kDeepSeekV2Letters =
    "\\s?["
    "A-Za-z\u00B5\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u01BA\u01BC-\u01BF\u01C4-\u0293"
    "\u0295-\u02AF\u0370-\u0373\u0376\u0377\u037B-\u037D\u037F\u0386\u0388-\u038A\u038C"
    "\u038E-\u03A1\u03A3-\u03F5\u03F7-\u0481\u048A-\u052F\u0531-\u0556\u10A0-\u10C5"
    "\u13A0-\u13F5\u13F8-\u13FD\u1C90-\u1CBA\u1CBD-\u1CBF\u1D00-\u1D2B\u1D6B-\u1D77"
    "\u1D79-\u1D9A\u1E00-\u1F15\u1F18-\u1F1D\u1F20-\u1F45\u1F48-\u1F4D\u1F50-\u1F57\u1F59"
    "\u1F5B\u1F5D\u1F5F-\u1F7D\u1F80-\u1FB4\u1FB6-\u1FBC\u1FBE\u1FC2-\u1FC4\u1FC6-\u1FCC"
    "\u1FD0-\u1FD3\u1FD6-\u1FDB\u1FE0-\u1FEC\u1FF2-\u1FF4\u1FF6-\u1FFC\u2102\u2107"
    "\u210A-\u2113\u2115\u2119-\u211D\u2124\u2126\u2128\u212A-\u212D\u212F-\u2134\u2139"
    "\u213C-\u213F\u2145-\u2149\u214E\u2183\u2184\u2C00-\u2C7B\u2C7E-\u2CE4\u2CEB-\u2CEE"
    "\u2CF2\u2CF3\uA640-\uA66D\uA680-\uA69B\uA722-\uA76F\uA771-\uA787\uA78B-\uA78E"
    "\uAB70-\uABBF\uFB00-\uFB06\uFB13-\uFB17\uFF21-\uFF3A\uFF41-\uFF5A\U00010400-\U0001044F"
    "\U000104B0-\U000104D3\U000104D8-\U000104FB\U00010C80-\U00010CB2\U00010CC0-\U00010CF2"
    "\U000118A0-\U000118DF\U0001E900-\U0001E943"
    "]+";

namespace {

// A text from some place on, and the ways to move over it that the scanners need.
class Text {
 public:
  Text(const ClassLookup& classes, std::string_view text)
      : classes_(classes), begin_(text.data()), end_(text.data() + text.size()) {}

  const char* begin() const { return begin_; }
  const char* end() const { return end_; }

  // The classes of the character at p; moves p behind it.
  uint16_t Next(const char*& p) const {
    const auto byte = static_cast<uint8_t>(*p);
    if (byte < 0x80) {
      ++p;
      return classes_.Ascii(byte);
    }
    return classes_(NextCodePoint(p));
  }
  // Those of the character at p; none at the end.
  uint16_t At(const char* p) const { return p < end_ ? Next(p) : 0; }

  // Behind the characters from p on that have one of `classes`.
  const char* After(const char* p, uint16_t classes) const {
    for (const char* next = p; p < end_ && (Next(next) & classes); p = next) {
    }
    return p;
  }
  // Behind those that have none of them.
  const char* AfterNot(const char* p, uint16_t classes) const {
    for (const char* next = p; p < end_ && !(Next(next) & classes); p = next) {
    }
    return p;
  }

  // \s+(?!\S)|\s+ at white space: all of the run but its last character, which goes with what
  // follows, unless nothing follows or it is the only one.
  const char* Space(const char* p) const {
    const char* const after = After(p, kSpace);
    if (after == end_) return after;
    const char* const last = p + PreviousCharacter({p, static_cast<size_t>(after - p)}, after - p);
    return last == p ? after : last;
  }
  // \s*[\r\n]+|\s+(?!\S)|\s+ at white space: up to the last newline of the run, if it has one.
  const char* SpaceOrNewlines(const char* p) const {
    const char* const after = After(p, kSpace);
    for (const char* q = after; q > p; --q) {
      if (q[-1] == '\n' || q[-1] == '\r') return q;
    }
    return Space(p);
  }

 private:
  const ClassLookup& classes_;
  const char* begin_;
  const char* end_;
};

// The end of "'s", "'t", "'re", "'ve", "'m", "'ll" or "'d" at p, where an apostrophe is, or p.
// any_case: like (?i:...), for which U+017F is an s.
template <bool any_case>
const char* Contraction(const char* p, const char* end) {
  const auto letter = [&](int i) {
    const char c = p + i < end ? p[i] : '\0';
    return any_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  switch (letter(1)) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return p + 2;
    case 'r':
    case 'v':
      return letter(2) == 'e' ? p + 3 : p;
    case 'l':
      return letter(2) == 'l' ? p + 3 : p;
    case '\xC5':
      return any_case && letter(2) == '\xBF' ? p + 3 : p;
    default:
      return p;
  }
}

// Each of the following has MatchAt(text, p): the end of the match at p, or p when there is none.

struct Gpt2 {
  static const char* MatchAt(const Text& text, const char* p) {
    if (*p == '\'') {
      const char* const after = Contraction<false>(p, text.end());
      if (after > p) return after;
    }
    const char* const word = *p == ' ' && p + 1 < text.end() ? p + 1 : p;
    const char* next = word;
    const uint16_t classes = text.Next(next);
    if (classes & kLetter) return text.After(next, kLetter);
    if (classes & kNumber) return text.After(next, kNumber);
    if (!(classes & kSpace)) return text.AfterNot(next, kSpace | kLetter | kNumber);
    return text.Space(p);
  }
};

// Llama 3 and Qwen2: digits is how many of them make a word at most.
template <int digits>
struct Llama3 {
  static const char* MatchAt(const Text& text, const char* p) {
    if (*p == '\'') {
      const char* const after = Contraction<true>(p, text.end());
      if (after > p) return after;
    }
    const char* next = p;
    const uint16_t classes = text.Next(next);
    if (classes & kLetter) return text.After(next, kLetter);
    if (classes & kNumber) {
      for (int count = 1; count < digits && (text.At(next) & kNumber); ++count) text.Next(next);
      return next;
    }
    // What is no newline may stand before letters.
    if (!(classes & kNewline) && (text.At(next) & kLetter)) return text.After(next, kLetter);
    const char* const sign = *p == ' ' && next < text.end() ? next : p;
    if (!(text.At(sign) & (kSpace | kLetter | kNumber))) {
      return text.After(text.AfterNot(sign, kSpace | kLetter | kNumber), kNewline);
    }
    return text.SpaceOrNewlines(p);
  }
};

struct DeepSeekV3Words {
  static const char* MatchAt(const Text& text, const char* p) {
    const char* next = p;
    const uint16_t classes = text.Next(next);
    const uint16_t following = text.At(next);
    if ((classes & kAsciiPunctuation) && (following & kAsciiLetter)) {
      return text.After(next, kAsciiLetter);
    }
    if (classes & (kLetter | kMark)) return text.After(next, kLetter | kMark);
    constexpr uint16_t kSigns = kPunctuation | kSymbol;
    if (!(classes & (kNewline | kSigns)) && (following & (kLetter | kMark))) {
      return text.After(next, kLetter | kMark);
    }
    const char* const sign = *p == ' ' ? next : p;
    if (text.At(sign) & kSigns) return text.After(text.After(sign, kSigns), kNewline);
    return classes & kSpace ? text.SpaceOrNewlines(p) : p;
  }
};

template <typename Words>
class WordScanner final : public Matcher {
 public:
  std::optional<TextRange> Find(std::string_view subject, size_t start) const override {
    const Text text(classes_, subject);
    for (const char* p = text.begin() + start; p < text.end(); text.Next(p)) {
      const char* const after = Words::MatchAt(text, p);
      if (after > p) {
        return TextRange{static_cast<size_t>(p - text.begin()),
                         static_cast<size_t>(after - text.begin())};
      }
    }
    return std::nullopt;
  }

 private:
  ClassLookup classes_;
};

// The ranges of a set without escapes and categories: "\\s?[A-Za-z...]+".
std::vector<CodePointRange> RangesOfSet(std::string_view pattern) {
  std::vector<CodePointRange> ranges;
  const char* p = pattern.data() + pattern.find('[') + 1;
  const char* const end = pattern.data() + pattern.rfind(']');
  while (p < end) {
    const char32_t first = NextCodePoint(p);
    char32_t last = first;
    if (p < end && *p == '-') last = NextCodePoint(++p);
    ranges.push_back({first, last});
  }
  return ranges;
}

}  // namespace

std::unique_ptr<const Matcher> MakeScanner(std::string_view pattern) {
  if (pattern == kGpt2Pattern) return std::make_unique<WordScanner<Gpt2>>();
  if (pattern == kLlama3Pattern) return std::make_unique<WordScanner<Llama3<3>>>();
  if (pattern == kQwen2Pattern) return std::make_unique<WordScanner<Llama3<1>>>();
  if (pattern == kDeepSeekV3Words) return std::make_unique<WordScanner<DeepSeekV3Words>>();
  if (pattern == kDeepSeekV3Numbers) return MakeClassRun(kNumber, {.at_most = 3});
  if (pattern == kDeepSeekV2Newline) return MakeClassRun(kNewline, {.at_most = 1});
  if (pattern == kDeepSeekV3Han || pattern == kDeepSeekV2Han) {
    return MakeRangeRun(RangesOfSet(pattern), {});
  }
  if (pattern == kDeepSeekV2Letters || pattern == kDeepSeekV2Signs) {
    return MakeRangeRun(RangesOfSet(pattern), {.space_before = true});
  }
  if (pattern == kDeepSeekV2LineEnd) return MakeSpaceAtLineEnd();
  if (pattern == kDeepSeekCoderLetters) return MakeClassRun(kLetter, {.space_before = true});
  if (pattern == kDeepSeekCoderSigns) return MakeClassRun(kPunctuation, {.space_before = true});
  return nullptr;
}

}  // namespace fathom
