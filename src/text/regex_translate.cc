#include "text/regex_translate.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <iterator>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "text/unicode.h"

namespace fathom {
namespace {

// A category is rewritten as some hundred bytes.
constexpr size_t kMaxTranslatedBytes = 1 << 18;

using Ranges = std::vector<CodePointRange>;

std::string InSet(const Ranges& ranges) {
  std::string out;
  for (CodePointRange range : ranges) {
    // Surrogates occur in no text, and PCRE2 does not take them as ends of a range.
    if (range.first >= 0xD800 && range.first <= 0xDFFF) range.first = 0xE000;
    if (range.last >= 0xD800 && range.last <= 0xDFFF) range.last = 0xD7FF;
    if (range.first > range.last) continue;
    fmt::format_to(std::back_inserter(out), "\\x{{{:x}}}", static_cast<uint32_t>(range.first));
    if (range.last > range.first) {
      fmt::format_to(std::back_inserter(out), "-\\x{{{:x}}}", static_cast<uint32_t>(range.last));
    }
  }
  return out;
}

// The characters of a category, to stand inside a set.
std::string CategoryInSet(std::string_view category) {
  const Ranges ranges = CodePointsOf(category);
  // These have lost characters since Unicode 14; the others have only won some.
  if (category == "Mn" || category == "C" || category == "Cn" || category == "Han") {
    return InSet(ranges);
  }
  return fmt::format("\\p{{{}}}{}", category, InSet(ChangedSinceUnicode14(ranges)));
}

// A set of characters in the two forms that a set can hold: itself and its complement.
struct Set {
  std::string members;
  std::string others;
};

Set MakeSet(const Ranges& ranges) { return {InSet(ranges), InSet(Complement(ranges))}; }

// White space by Unicode's White_Space property. PCRE2's own \s also holds U+180E.
const Set& SpaceSet() {
  static const Set set = MakeSet({{0x09, 0x0D},
                                  {0x20, 0x20},
                                  {0x85, 0x85},
                                  {0xA0, 0xA0},
                                  {0x1680, 0x1680},
                                  {0x2000, 0x200A},
                                  {0x2028, 0x2029},
                                  {0x202F, 0x202F},
                                  {0x205F, 0x205F},
                                  {0x3000, 0x3000}});
  return set;
}

const Set& HexDigitSet() {
  static const Set set = MakeSet({{'0', '9'}, {'A', 'F'}, {'a', 'f'}});
  return set;
}

Set MakeWordSet() {
  Ranges ranges;
  const ClassLookup classes;
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    const bool latin = c == 0xB2 || c == 0xB3 || c == 0xB9 || (c >= 0xBC && c <= 0xBE);
    const bool joiner = c == 0x200C || c == 0x200D;
    if (joiner || !((classes(c) & kWord) || latin)) continue;
    if (!ranges.empty() && ranges.back().last + 1 == c) {
      ranges.back().last = c;
    } else {
      ranges.push_back({c, c});
    }
  }
  std::string members;
  for (const std::string_view category : {"L", "M", "Nd", "Nl", "Pc"}) {
    members += CategoryInSet(category);
  }
  members += InSet({{0xB2, 0xB3},
                    {0xB9, 0xB9},
                    {0xBC, 0xBE},
                    {0x24B6, 0x24E9},
                    {0x1F130, 0x1F149},
                    {0x1F150, 0x1F169},
                    {0x1F170, 0x1F189}});
  return {members, InSet(Complement(ranges))};
}

// Oniguruma's \w: what is kWord in unicode.h without the joiners, and the digits and fractions of
// Latin-1.
const Set& WordSet() {
  static const Set set = MakeWordSet();
  return set;
}

// The set of a category, or nullptr when there is no such name in unicode.h.
const Set* CategorySet(const std::string& category) {
  static const auto sets = [] {
    std::unordered_map<std::string, Set> all;
    for (const char* name :
         {"L",  "Lu", "Ll", "Lt", "Lm", "Lo", "M",  "Mn", "Mc", "Me", "N",  "Nd", "Nl",
          "No", "P",  "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "S",  "Sm", "Sc", "Sk",
          "So", "Z",  "Zs", "Zl", "Zp", "C",  "Cc", "Cf", "Co", "Cn", "Han"}) {
      all[name] = {CategoryInSet(name), InSet(Complement(CodePointsOf(name)))};
    }
    return all;
  }();
  const auto found = sets.find(category);
  return found == sets.end() ? nullptr : &found->second;
}

class Translator {
 public:
  Translator(std::string_view pattern, std::string_view where) : pattern_(pattern), where_(where) {}

  std::string Run() {
    while (at_ < pattern_.size()) {
      Step();
      if (out_.size() > kMaxTranslatedBytes) {
        Fail("is too large once its categories are written out");
      }
    }
    return std::move(out_);
  }

 private:
  struct Group {
    size_t begin;   // in out_
    bool caseless;  // of what surrounds it
  };

  [[noreturn]] void Fail(std::string_view what) const {
    // Patterns can be long; the beginning tells which one it is.
    const bool cut = pattern_.size() > 200;
    throw Error(where_, fmt::format("the pattern '{}{}' {}", pattern_.substr(0, 200),
                                    cut ? "..." : "", what));
  }
  [[noreturn]] void Unsupported(std::string_view what) const {
    Fail(fmt::format("has {}, which is not supported", what));
  }

  bool At(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }

  void Step() {
    const char c = pattern_[at_];
    if (c == '\\') {
      atom_ = out_.size();
      Escape(false);
    } else if (c == '[') {
      atom_ = out_.size();
      SetInBrackets();
    } else if (c == '(') {
      OpenGroup();
    } else if (c == ')') {
      if (groups_.empty()) Fail("has an unmatched ')'");
      atom_ = groups_.back().begin;
      caseless_ = groups_.back().caseless;
      groups_.pop_back();
      out_ += c;
      ++at_;
    } else if (c == '{' && Interval()) {
      // done
    } else {
      if (c != '*' && c != '+' && c != '?') atom_ = out_.size();
      // A character is an atom with all its bytes.
      do out_ += pattern_[at_++];
      while (at_ < pattern_.size() && (static_cast<uint8_t>(pattern_[at_]) & 0xC0) == 0x80);
    }
  }

  // {n} {n,} {,m} {n,m} behind an atom.
  bool Interval() {
    size_t i = at_ + 1;
    const auto digits = [&] {
      const size_t begin = i;
      while (i < pattern_.size() && std::isdigit(static_cast<uint8_t>(pattern_[i]))) ++i;
      return pattern_.substr(begin, i - begin);
    };
    const std::string_view low = digits();
    std::string_view high = low;
    const bool comma = i < pattern_.size() && pattern_[i] == ',';
    if (comma) {
      ++i;
      high = digits();
    }
    if (i >= pattern_.size() || pattern_[i] != '}' || (low.empty() && high.empty())) return false;
    at_ = i + 1;
    const std::string lowest(low.empty() ? "0" : low);
    out_ += comma ? fmt::format("{{{},{}}}", lowest, high) : fmt::format("{{{}}}", lowest);
    // In Ruby's syntax what follows is a quantifier of its own, except the ? of {n,m}?.
    const bool wrap = At("+") || At("*") || (At("?") && !comma);
    if (wrap) {
      out_.insert(atom_, "(?:");
      out_ += ')';
    }
    return true;
  }

  void OpenGroup() {
    groups_.push_back({out_.size(), caseless_});
    if (!At("(?")) {
      if (At("(*")) Unsupported("'(*'");
      out_ += '(';
      ++at_;
      return;
    }
    for (const std::string_view form : {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>"}) {
      if (At(form)) {
        out_ += form;
        at_ += form.size();
        return;
      }
    }
    for (const std::string_view form : {"(?i:", "(?-i:"}) {
      if (At(form)) {
        caseless_ = form == "(?i:";
        out_ += form;
        at_ += form.size();
        return;
      }
    }
    if (At("(?i)")) {  // for the rest of the group around it
      groups_.pop_back();
      caseless_ = true;
      out_ += "(?i)";
      at_ += 4;
      return;
    }
    Unsupported(fmt::format("'{}'", pattern_.substr(at_, 3)));
  }

  void Emit(const Set& set, bool negated, bool in_set) {
    if (caseless_) Unsupported("a class of characters without regard to case");
    if (in_set) {
      out_ += negated ? set.others : set.members;
    } else {
      out_ += fmt::format("[{}{}]", negated ? "^" : "", set.members);
    }
  }

  // What follows a backslash.
  void Escape(bool in_set) {
    if (++at_ == pattern_.size()) Fail("ends with a backslash");
    const char c = pattern_[at_++];
    const char lower = static_cast<char>(std::tolower(static_cast<uint8_t>(c)));
    const bool upper = c != lower;
    switch (lower) {
      case 's':
        return Emit(SpaceSet(), upper, in_set);
      case 'd':
        return Emit(*CategorySet("Nd"), upper, in_set);
      case 'h':
        return Emit(HexDigitSet(), upper, in_set);
      case 'w':
        return Emit(WordSet(), upper, in_set);
      case 'p':
        return Property(upper, in_set);
      default:
        break;
    }
    if (c == 'u') return CodePoint(4);
    if (c == 'x') {
      if (At("{")) {
        const size_t end = pattern_.find('}', at_);
        if (end == std::string_view::npos) Fail("has an unclosed '\\x{'");
        out_ += "\\x";
        out_ += pattern_.substr(at_, end + 1 - at_);
        at_ = end + 1;
        return;
      }
      return CodePoint(2);
    }
    if (c == 'v') {  // one character here, a set in PCRE2
      out_ += "\\x{b}";
      return;
    }
    if (c == 'R' && !in_set) {
      out_ += "(?>\\r\\n|[\\n-\\r\\x{85}\\x{2028}\\x{2029}])";
      return;
    }
    if (c == 'b' && !in_set) {
      const std::string word = WordSet().members;
      out_ += fmt::format("(?:(?<=[{0}])(?![{0}])|(?<![{0}])(?=[{0}]))", word);
      return;
    }
    constexpr std::string_view kSame = "nrtfae", kSameOutside = "AzZ";
    if (std::isalnum(static_cast<uint8_t>(c)) && kSame.find(c) == std::string_view::npos &&
        !(in_set && c == 'b') && (in_set || kSameOutside.find(c) == std::string_view::npos)) {
      Unsupported(fmt::format("'\\{}'", c));
    }
    // A character that needs no escape must not get one in front of a part of it.
    if (static_cast<uint8_t>(c) < 0x80) out_ += '\\';
    out_ += c;
  }

  // Exactly `digits` hexadecimal digits.
  void CodePoint(size_t digits) {
    const std::string_view text = pattern_.substr(at_, digits);
    const bool hexadecimal =
        text.size() == digits && std::all_of(text.begin(), text.end(), [](char c) {
          return std::isxdigit(static_cast<uint8_t>(c));
        });
    // \x80 and beyond would be a byte of a character.
    if (!hexadecimal || (digits == 2 && text[0] >= '8')) {
      Unsupported("an escape that is no character");
    }
    out_ += fmt::format("\\x{{{}}}", text);
    at_ += digits;
  }

  void Property(bool negated, bool in_set) {
    const size_t end = At("{") ? pattern_.find('}', at_) : std::string_view::npos;
    if (end == std::string_view::npos) Fail("has a '\\p' without '{...}'");
    std::string name(pattern_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    if (name.starts_with('^')) {
      negated = !negated;
      name.erase(0, 1);
    }
    const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
      return std::isalpha(static_cast<uint8_t>(c)) || c == '_';
    });
    if (name.empty() || !plain) Fail("has a '\\p{...}' that is no name");
    // Neither engine looks at upper and lower case in names.
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return static_cast<char>(std::tolower(static_cast<uint8_t>(c))); });
    name[0] = static_cast<char>(std::toupper(static_cast<uint8_t>(name[0])));
    if (const Set* set = CategorySet(name)) return Emit(*set, negated, in_set);
    if (caseless_) Unsupported("a class of characters without regard to case");
    out_ += fmt::format("\\{}{{sc:{}}}", negated ? 'P' : 'p', name);
  }

  void SetInBrackets() {
    out_ += pattern_[at_++];
    if (At("^")) out_ += pattern_[at_++];
    bool first = true;
    for (;; first = false) {
      if (at_ == pattern_.size()) Fail("has an unclosed '['");
      if (At("[:")) {
        NamedSet();
      } else if (At("[")) {
        Unsupported("a set inside a set");
      } else if (At("&&")) {
        Unsupported("an intersection of sets (&&)");
      } else if (At("]") && !first) {
        out_ += pattern_[at_++];
        return;
      } else if (At("\\")) {
        Escape(true);
      } else {
        out_ += pattern_[at_++];
      }
      if (out_.size() > kMaxTranslatedBytes) {
        Fail("is too large once its categories are written out");
      }
    }
  }

  // [:digit:] and the like, inside a set.
  void NamedSet() {
    const size_t end = pattern_.find(":]", at_);
    if (end == std::string_view::npos) Fail("has an unclosed '[:'");
    std::string_view name = pattern_.substr(at_ + 2, end - at_ - 2);
    at_ = end + 2;
    const bool negated = name.starts_with('^');
    if (negated) name.remove_prefix(1);
    if (name == "digit") return Emit(*CategorySet("Nd"), negated, true);
    if (name == "space") return Emit(SpaceSet(), negated, true);
    if (name == "word") return Emit(WordSet(), negated, true);
    if (name == "xdigit") return Emit(HexDigitSet(), negated, true);
    Unsupported(fmt::format("'[:{}:]'", name.substr(0, 20)));
  }

  std::string_view pattern_;
  std::string_view where_;
  size_t at_ = 0;  // in pattern_
  std::string out_;
  size_t atom_ = 0;  // where in out_ the last atom began, which a quantifier would repeat
  bool caseless_ = false;
  std::vector<Group> groups_;
};

}  // namespace

std::string TranslateForPcre(std::string_view pattern, std::string_view where) {
  return Translator(pattern, where).Run();
}

}  // namespace fathom
