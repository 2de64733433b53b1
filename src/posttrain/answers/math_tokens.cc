#include "posttrain/answers/math_tokens.h"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <unordered_set>

#include "base/ascii.h"
#include "posttrain/answers/math_text.h"
#include "posttrain/answers/units.h"

namespace fathom {
namespace {

using TokenKind = MathToken::Kind;
using Words = std::unordered_set<std::string_view>;

constexpr size_t kMostBytes = 4096;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

const Words& Functions() {
  static const Words kNames = {"sin",  "cos",  "tan",  "cot",    "sec",    "csc",
                               "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan",
                               "asin", "acos", "atan", "log",    "ln",     "lg",
                               "exp",  "sqrt", "abs",  "floor",  "ceil"};
  return kNames;
}

const Words& GreekLetters() {
  static const Words kNames = {"alpha", "beta",  "gamma", "delta", "epsilon", "varepsilon", "zeta",
                               "eta",   "theta", "iota",  "kappa", "lambda",  "mu",         "nu",
                               "xi",    "rho",   "sigma", "tau",   "phi",     "varphi",     "chi",
                               "psi",   "omega", "Gamma", "Delta", "Theta",   "Lambda",     "Xi",
                               "Sigma", "Phi",   "Psi",   "Omega", "ell"};
  return kNames;
}

// Short words that are no products of letters.
const Words& ShortWords() {
  static const Words kNames = {"yes", "no",  "the", "of",  "is",  "to",  "not", "odd",
                               "all", "per", "one", "two", "six", "ten", "sq",  "cu",
                               "for", "if",  "at",  "by",  "it",  "as",  "red", "day",
                               "are", "has", "men", "am",  "pm",  "mph"};
  return kNames;
}

// Commands that leave what follows them as it is.
const Words& IgnoredCommands() {
  static const Words kNames = {
      "left",      "right",     "big",          "Big",       "bigg",     "Bigg",
      "bigl",      "bigr",      "Bigl",         "Bigr",      "middle",   "quad",
      "qquad",     "limits",    "displaystyle", "textstyle", "overline", "overrightarrow",
      "vec",       "hat",       "widehat",      "bar",       "tilde",    "underline",
      "boxed",     "fbox",      "angle",        "triangle",  "hline",    "strut",
      "mathstrut", "thinspace", "medspace",     "enspace",   "space",    "scriptstyle"};
  return kNames;
}

// Commands whose group is text; those of `symbols` are fonts for letters as well.
const Words& TextCommands() {
  static const Words kNames = {"text",   "mbox",       "textrm", "textbf",       "textit",
                               "textsf", "textnormal", "mathrm", "operatorname", "hbox"};
  return kNames;
}
const Words& FontCommands() {
  static const Words kNames = {"mathbf",     "mathit", "mathsf",  "mathcal",
                               "boldsymbol", "bm",     "mathfrak"};
  return kNames;
}

// Commands that stand for a symbol.
const std::unordered_map<std::string_view, std::string_view>& SymbolCommands() {
  static const std::unordered_map<std::string_view, std::string_view> kMap = {
      {"cdot", "*"},
      {"times", "*"},
      {"ast", "*"},
      {"div", "/"},
      {"pm", "+-"},
      {"mp", "-+"},
      {"le", "<="},
      {"leq", "<="},
      {"leqslant", "<="},
      {"lt", "<"},
      {"ge", ">="},
      {"geq", ">="},
      {"geqslant", ">="},
      {"gt", ">"},
      {"ne", "!="},
      {"neq", "!="},
      {"approx", "~="},
      {"simeq", "~="},
      {"cup", "cup"},
      {"cap", "cap"},
      {"in", "in"},
      {"emptyset", "empty"},
      {"varnothing", "empty"},
      {"lbrace", "\\{"},
      {"rbrace", "\\}"},
      {"langle", "<|"},
      {"rangle", "|>"},
      {"lfloor", "lfloor"},
      {"rfloor", "rfloor"},
      {"lceil", "lceil"},
      {"rceil", "rceil"},
      {"lvert", "|"},
      {"rvert", "|"},
      {"vert", "|"},
      {"colon", ":"},
      {"lor", "or"},
      {"land", "and"}};
  return kMap;
}

class Lexer {
 public:
  // words: inside of \text, where letters make words.
  Lexer(std::string_view text, bool words, std::vector<MathToken>& tokens)
      : text_(text), words_(words), tokens_(tokens) {
    // A lone dollar sign is money, a pair of them is LaTeX's.
    size_t dollars = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '$' && (i == 0 || text[i - 1] != '\\')) ++dollars;
    }
    money_ = dollars == 1;
  }

  bool Run() {
    while (at_ < text_.size()) {
      if (tokens_.size() > kMostTokens || !Next()) return false;
    }
    return true;
  }

 private:
  void Put(TokenKind kind, std::string text) {
    tokens_.push_back({kind, std::move(text), "", space_});
    space_ = false;
  }
  void Put(std::string_view symbol) { Put(TokenKind::kSymbol, std::string(symbol)); }
  bool Follows(std::string_view what) const { return text_.substr(at_).starts_with(what); }
  // Skips `what` if it follows.
  bool Skip(std::string_view what) {
    if (!Follows(what)) return false;
    at_ += what.size();
    return true;
  }

  bool Next() {
    const char c = text_[at_];
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '~') {
      space_ = true;
      ++at_;
      return true;
    }
    if (IsDigit(c) || (c == '.' && at_ + 1 < text_.size() && IsDigit(text_[at_ + 1]))) {
      return ReadNumber();
    }
    if (IsLetter(c)) return ReadLetters();
    if (c == '\\') return ReadCommand();
    // Longest first.
    constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kPairs = {{{"+/-", "+-"},
                                                                                      {"**", "^"},
                                                                                      {"<=", "<="},
                                                                                      {">=", ">="},
                                                                                      {"!=", "!="},
                                                                                      {"==", "="},
                                                                                      {"=<", "<="},
                                                                                      {"->", ""}}};
    for (const auto& [written, symbol] : kPairs) {
      if (!Follows(written)) continue;
      if (symbol.empty()) return false;
      at_ += written.size();
      Put(symbol);
      return true;
    }
    ++at_;
    switch (c) {
      case '$':
        if (money_) Put("$");
        return true;
      case '\'':
        if (tokens_.empty() || tokens_.back().kind != TokenKind::kLetter) return false;
        tokens_.back().text += '\'';
        return true;
      case '^':
        return ReadCaret();
      case '(':
      case '[':
        ++depth_;
        break;
      case ')':
      case ']':
        depth_ = std::max(0, depth_ - 1);
        break;
      default:
        if (std::string_view("+-*/_!{},;:=<>|%&").find(c) == std::string_view::npos) return false;
    }
    Put(std::string_view(&c, 1));
    return true;
  }

  // A caret, or a degree sign: ^\circ, ^{\circ}.
  bool ReadCaret() {
    const size_t begin = at_;
    while (Skip(" ")) {
    }
    const bool group = Skip("{");
    while (Skip(" ")) {
    }
    const bool degree = Skip("\\circ") || Skip("\\degree");
    while (Skip(" ")) {
    }
    if (degree && (!group || Skip("}"))) {
      Put(TokenKind::kDegree, "");
      return true;
    }
    at_ = begin;
    Put("^");
    return true;
  }

  size_t DigitsAt(size_t at) const {
    size_t count = 0;
    while (at + count < text_.size() && IsDigit(text_[at + count])) ++count;
    return count;
  }

  // The length of what parts thousands here, or 0: "1,234", "1{,}234", "1,\!234", "1\,234".
  size_t ThousandsSeparator() const {
    for (const std::string_view mark :
         {",\\!\\!", ",\\! ", ",\\!", ",\\,", "{,}", "\\,", "\\!,", ","}) {
      if (!Follows(mark)) continue;
      // Inside of brackets a comma parts coordinates.
      if (mark == "," && depth_ > 0) continue;
      if (DigitsAt(at_ + mark.size()) == 3) return mark.size();
    }
    return 0;
  }

  bool ReadNumber() {
    std::string digits;
    const size_t first = DigitsAt(at_);
    digits.append(text_.substr(at_, first));
    at_ += first;
    if (first >= 1 && first <= 3 && digits[0] != '0') {
      for (size_t mark; (mark = ThousandsSeparator()) > 0; at_ += mark + 3) {
        digits.append(text_.substr(at_ + mark, 3));
      }
    }
    std::string repeating;
    const bool point = at_ < text_.size() && text_[at_] == '.' &&
                       (DigitsAt(at_ + 1) > 0 || text_.substr(at_ + 1).starts_with("\\overline{"));
    if (point) {
      digits += '.';
      ++at_;
      const size_t count = DigitsAt(at_);
      digits.append(text_.substr(at_, count));
      at_ += count;
      std::string_view content;
      size_t end = 0;
      constexpr std::string_view kOverline = "\\overline";
      if (Follows(kOverline) && ReadBraces(text_, at_ + kOverline.size(), content, end) &&
          !content.empty() && std::all_of(content.begin(), content.end(), IsDigit)) {
        repeating = content;
        at_ = end;
      }
    }
    Put(TokenKind::kNumber, digits);
    tokens_.back().repeating = repeating;
    ReadScientific();
    return true;
  }

  // "e-3" directly behind a number: times 10^{-3}.
  void ReadScientific() {
    if (at_ >= text_.size() || (text_[at_] != 'e' && text_[at_] != 'E')) return;
    size_t at = at_ + 1;
    const bool minus = at < text_.size() && text_[at] == '-';
    if (at < text_.size() && (text_[at] == '-' || text_[at] == '+')) ++at;
    const size_t count = DigitsAt(at);
    if (count == 0 || (at + count < text_.size() && IsLetter(text_[at + count]))) return;
    Put("*");
    Put(TokenKind::kNumber, "10");
    Put("^");
    Put("{");
    if (minus) Put("-");
    Put(TokenKind::kNumber, std::string(text_.substr(at, count)));
    Put("}");
    at_ = at + count;
  }

  bool ReadLetters() {
    size_t count = 0;
    while (at_ + count < text_.size() && IsLetter(text_[at_ + count])) ++count;
    const std::string_view run = text_.substr(at_, count);
    at_ += count;
    PutRun(run);
    return true;
  }

  void PutRun(std::string_view run) {
    const std::string lower = LowerCase(run);
    if (lower == "and" || lower == "or") return Put(lower);
    if (lower == "union") return Put("cup");
    if (lower == "degrees" || lower == "degree") return Put(TokenKind::kDegree, "");
    if (run == "pi" || run == "infinity" || run == "infty" || run == "inf" || run == "oo") {
      return Put(TokenKind::kName, run == "pi" ? "pi" : "infinity");
    }
    if (Functions().contains(run)) return Put(TokenKind::kName, std::string(run));
    if (GreekLetters().contains(run)) return Put(TokenKind::kLetter, std::string(run));
    if (words_) return Put(TokenKind::kWord, std::string(run));
    if (run.size() == 1) {
      // "5 m" at the end is metres, "5m" is a product.
      const bool unit = space_ && at_ == text_.size() && !tokens_.empty() &&
                        tokens_.back().kind == TokenKind::kNumber && IsUnitName(run);
      return Put(unit ? TokenKind::kWord : TokenKind::kLetter, std::string(run));
    }
    if (IsUnitName(run) || ShortWords().contains(lower)) {
      return Put(TokenKind::kWord, std::string(run));
    }
    if (run.size() <= 3) {
      for (const char letter : run) Put(TokenKind::kLetter, std::string(1, letter));
      return;
    }
    // "sinx", "sqrtx".
    for (const std::string_view name : {"sin", "cos", "tan", "log", "ln", "sqrt"}) {
      if (!run.starts_with(name) || run.size() > name.size() + 2) continue;
      Put(TokenKind::kName, std::string(name));
      for (const char letter : run.substr(name.size()))
        Put(TokenKind::kLetter, std::string(1, letter));
      return;
    }
    Put(TokenKind::kWord, std::string(run));
  }

  bool ReadCommand() {
    size_t count = 0;
    while (at_ + 1 + count < text_.size() && IsLetter(text_[at_ + 1 + count])) ++count;
    if (count == 0) return ReadShortCommand();
    const std::string_view name = text_.substr(at_ + 1, count);
    at_ += 1 + count;
    if (IgnoredCommands().contains(name)) {
      if ((name == "left" || name == "right") && Skip(".")) return true;
      if (name == "quad" || name == "qquad" || name == "space") space_ = true;
      return true;
    }
    if (name == "frac" || name == "dfrac" || name == "tfrac" || name == "cfrac") {
      Put(TokenKind::kName, "frac");
    } else if (name == "binom" || name == "dbinom" || name == "tbinom") {
      Put(TokenKind::kName, "binom");
    } else if (name == "pi" || name == "infty") {
      Put(TokenKind::kName, name == "pi" ? "pi" : "infinity");
    } else if (name == "circ" || name == "degree") {
      Put(TokenKind::kDegree, "");
    } else if (name == "begin" || name == "end") {
      return ReadEnvironment(name == "begin");
    } else if (TextCommands().contains(name) || FontCommands().contains(name)) {
      return ReadText(TextCommands().contains(name));
    } else if (name == "mathbb") {
      return Skip("{R}") && (Put("reals"), true);
    } else if (Functions().contains(name)) {
      Put(TokenKind::kName, std::string(name));
    } else if (GreekLetters().contains(name)) {
      Put(TokenKind::kLetter, std::string(name));
    } else if (const auto found = SymbolCommands().find(name); found != SymbolCommands().end()) {
      if (found->second == "\\{" || found->second == "<|") ++depth_;
      if (found->second == "\\}" || found->second == "|>") depth_ = std::max(0, depth_ - 1);
      Put(found->second);
    } else {
      return false;
    }
    return true;
  }

  // A backslash and one character.
  bool ReadShortCommand() {
    if (at_ + 1 >= text_.size()) return false;
    const char c = text_[at_ + 1];
    at_ += 2;
    switch (c) {
      case ' ':
      case ',':
      case ';':
      case ':':
      case '>':
        space_ = true;
        return true;
      case '!':
      case '(':
      case ')':
      case '[':
      case ']':
        return true;
      case '{':
        ++depth_;
        Put("\\{");
        return true;
      case '}':
        depth_ = std::max(0, depth_ - 1);
        Put("\\}");
        return true;
      case '%':
      case '$':
        Put(std::string_view(&c, 1));
        return true;
      case '\\':
        Put("\\\\");
        return true;
      default:
        return false;
    }
  }

  bool ReadEnvironment(bool begin) {
    std::string_view name;
    if (!ReadBraces(text_, at_, name, at_)) return false;
    Put(begin ? TokenKind::kBegin : TokenKind::kEnd, std::string(name));
    // The columns of an array.
    std::string_view columns;
    if (begin && name == "array") ReadBraces(text_, at_, columns, at_);
    return true;
  }

  bool ReadText(bool words) {
    while (Skip(" ")) {
    }
    std::string_view content;
    if (!ReadBraces(text_, at_, content, at_)) return false;
    const std::string_view trimmed = Trimmed(content);
    if (Functions().contains(trimmed)) {
      Put(TokenKind::kName, std::string(trimmed));
      return true;
    }
    if (inside_text_) return false;
    Lexer inner(content, words, tokens_);
    inner.inside_text_ = true;
    inner.depth_ = depth_;
    inner.space_ = space_;
    space_ = false;
    return inner.Run();
  }

  std::string_view text_;
  bool words_;
  bool inside_text_ = false;
  std::vector<MathToken>& tokens_;
  size_t at_ = 0;
  int depth_ = 0;  // of brackets that hold lists
  bool space_ = false, money_ = false;
};

}  // namespace

std::optional<std::vector<MathToken>> TokenizeMath(std::string_view text) {
  if (text.size() > kMostBytes) return std::nullopt;
  const std::string ascii = AsciiMath(text);
  std::vector<MathToken> tokens;
  if (!Lexer(ascii, /*words=*/false, tokens).Run()) return std::nullopt;
  return tokens;
}

}  // namespace fathom
