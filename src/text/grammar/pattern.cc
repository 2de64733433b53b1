#include "text/grammar/pattern.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "text/grammar/characters.h"
#include "text/grammar/json_text.h"
#include "text/utf8.h"

namespace fathom::grammar {
namespace {

using E = Expression;

constexpr size_t kMostBytes = 4096;
constexpr int kMostDepth = 64;
constexpr int64_t kMostCount = 10000;

CharacterSet One(char32_t c) { return CharacterSet({{c, c}}); }
CharacterSet DigitSet() { return CharacterSet({{'0', '9'}}); }
CharacterSet WordSet() { return CharacterSet({{'0', '9'}, {'A', 'Z'}, {'a', 'z'}, {'_', '_'}}); }
// ECMAScript's WhiteSpace and LineTerminator.
CharacterSet SpaceSet() {
  return CharacterSet({{'\t', '\r'},
                       {' ', ' '},
                       {0xA0, 0xA0},
                       {0x1680, 0x1680},
                       {0x2000, 0x200A},
                       {0x2028, 0x2029},
                       {0x202F, 0x202F},
                       {0x205F, 0x205F},
                       {0x3000, 0x3000},
                       {0xFEFF, 0xFEFF}});
}
CharacterSet LineEnds() { return CharacterSet({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}); }

// Anything before or after what is looked for.
E Anything() { return E::Repeat(JsonText::Character(CharacterSet::All()), 0, E::kUnbounded); }

class PatternParser {
 public:
  PatternParser(std::string_view pattern, std::string_view where)
      : pattern_(pattern), where_(where) {
    if (pattern.size() > kMostBytes || !IsValidUtf8(pattern)) {
      throw Error(where, fmt::format("is longer than {} bytes, or not UTF-8", kMostBytes));
    }
  }

  E Parse() {
    std::vector<E> alternatives;
    do {
      const bool begins = Take('^');
      std::vector<E> parts;
      if (!begins) parts.push_back(Anything());
      parts.push_back(Sequence());
      if (!Take('$')) parts.push_back(Anything());
      alternatives.push_back(E::Sequence(std::move(parts)));
    } while (Take('|'));
    if (at_ < pattern_.size()) Fail("unexpected ')' or '$'");
    return E::Choice(std::move(alternatives));
  }

 private:
  [[noreturn]] void Fail(std::string_view what) const {
    throw Error(where_, fmt::format("'{}' at byte {}: {}", pattern_, at_, what),
                "what is supported: docs/serving.md");
  }
  bool AtEnd() const { return at_ == pattern_.size(); }
  char Peek() const { return AtEnd() ? '\0' : pattern_[at_]; }
  bool Take(char c) {
    if (AtEnd() || pattern_[at_] != c) return false;
    ++at_;
    return true;
  }
  // The next code point.
  char32_t TakeCharacter() {
    const auto lead = static_cast<uint8_t>(pattern_[at_]);
    const size_t size = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    char32_t c = size == 1 ? lead : lead & (0x7F >> size);
    for (size_t i = 1; i < size; ++i) c = c << 6 | (static_cast<uint8_t>(pattern_[at_ + i]) & 0x3F);
    at_ += size;
    return c;
  }

  E Alternatives() {
    std::vector<E> parts;
    do parts.push_back(Sequence());
    while (Take('|'));
    return E::Choice(std::move(parts));
  }

  E Sequence() {
    std::vector<E> parts;
    while (!AtEnd() && Peek() != '|' && Peek() != ')' && Peek() != '$') {
      parts.push_back(Quantified(Atom()));
    }
    return E::Sequence(std::move(parts));
  }

  E Atom() {
    switch (Peek()) {
      case '(':
        return Group();
      case '[':
        return JsonText::Character(Class());
      case '.':
        ++at_;
        return JsonText::Character(LineEnds().Complement());
      case '\\':
        return JsonText::Character(Escape(false));
      case '^':
        Fail("'^' inside of the pattern is not supported");
      case '*':
      case '+':
      case '?':
      case '{':
        Fail("there is nothing to repeat");
      default:
        return JsonText::Character(One(TakeCharacter()));
    }
  }

  E Group() {
    ++at_;
    if (Take('?')) {
      if (!Take(':')) Fail("assertions and named groups are not supported");
    }
    if (++depth_ > kMostDepth) Fail("groups are nested too deeply");
    E inside = Alternatives();
    --depth_;
    if (!Take(')'))
      Fail(Peek() == '$' ? "'$' inside of a group is not supported" : "')' is missing");
    return inside;
  }

  std::optional<int64_t> Count() {
    if (Peek() < '0' || Peek() > '9') return std::nullopt;
    int64_t count = 0;
    while (Peek() >= '0' && Peek() <= '9') {
      count = count * 10 + (pattern_[at_++] - '0');
      if (count > kMostCount) Fail(fmt::format("counts go up to {}", kMostCount));
    }
    return count;
  }

  E Quantified(E atom) {
    int64_t least = 0, most = E::kUnbounded;
    if (Take('+')) {
      least = 1;
    } else if (Take('?')) {
      most = 1;
    } else if (Take('{')) {
      const std::optional<int64_t> first = Count();
      if (!first) Fail("a count is missing");
      least = most = *first;
      if (Take(',')) most = Count().value_or(E::kUnbounded);
      if (!Take('}')) Fail("'}' is missing");
      if (most != E::kUnbounded && most < least) Fail("the counts are the wrong way round");
    } else if (!Take('*')) {
      return atom;
    }
    Take('?');  // a lazy one matches the same strings
    return E::Repeat(std::move(atom), least, most);
  }

  char32_t Hex(size_t digits) {
    char32_t value = 0;
    for (size_t i = 0; i < digits; ++i) {
      const char c = Peek();
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) Fail("a hexadecimal digit is missing");
      value = value * 16 + static_cast<char32_t>(digit);
      ++at_;
    }
    return value;
  }

  CharacterSet Escape(bool in_class) {
    ++at_;
    if (AtEnd()) Fail("nothing follows the '\\'");
    const char32_t c = TakeCharacter();
    switch (c) {
      case 'd':
        return DigitSet();
      case 'D':
        return DigitSet().Complement();
      case 'w':
        return WordSet();
      case 'W':
        return WordSet().Complement();
      case 's':
        return SpaceSet();
      case 'S':
        return SpaceSet().Complement();
      case 'n':
        return One('\n');
      case 'r':
        return One('\r');
      case 't':
        return One('\t');
      case 'f':
        return One('\f');
      case 'v':
        return One('\v');
      case '0':
        return One(0);
      case 'x':
        return One(Hex(2));
      case 'u':
        return One(Hex(4));
      case 'b':
        if (in_class) return One('\b');
        break;
      default:
        break;
    }
    const bool letter_or_digit =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (letter_or_digit) Fail(fmt::format("\\{} is not supported", static_cast<char>(c)));
    return One(c);
  }

  CharacterSet Class() {
    ++at_;
    const bool negated = Take('^');
    CharacterSet set;
    while (!Take(']')) {
      if (AtEnd()) Fail("']' is missing");
      const CharacterSet first = ClassItem();
      const bool range = Peek() == '-' && at_ + 1 < pattern_.size() && pattern_[at_ + 1] != ']';
      if (!range) {
        set = set.With(first);
        continue;
      }
      ++at_;
      const CharacterSet last = ClassItem();
      if (!IsOne(first) || !IsOne(last) || first.ranges()[0].first > last.ranges()[0].first) {
        Fail("this is not a range of characters");
      }
      set = set.With(CharacterSet({{first.ranges()[0].first, last.ranges()[0].first}}));
    }
    return negated ? set.Complement() : set;
  }
  CharacterSet ClassItem() { return Peek() == '\\' ? Escape(true) : One(TakeCharacter()); }
  static bool IsOne(const CharacterSet& set) {
    return set.ranges().size() == 1 && set.ranges()[0].first == set.ranges()[0].second;
  }

  std::string_view pattern_, where_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

Expression PatternContent(std::string_view pattern, std::string_view where) {
  return PatternParser(pattern, where).Parse();
}

}  // namespace fathom::grammar
