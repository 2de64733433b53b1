#include "posttrain/answers/answer_form.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "base/ascii.h"
#include "posttrain/answers/expression_value.h"
#include "posttrain/answers/math_text.h"
#include "posttrain/answers/math_tokens.h"

namespace fathom {
namespace {

using FormKind = AnswerForm::Kind;
using Token = MathToken::Kind;
using Tokens = std::span<const MathToken>;

// Lists of lists, deeper than this, are no answer.
constexpr int kMostNesting = 6;
constexpr size_t kMostItems = 64;

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// AnswerForm::text.
std::string ComparableText(std::string_view text) {
  constexpr std::array<std::string_view, 13> kDropped = {
      "left",   "right",  "displaystyle", "text",  "mbox",   "textbf", "textrm",
      "mathrm", "mathbf", "quad",         "qquad", "textit", "!"};
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (c == '\\') {
      size_t end = i + 1;
      while (end < text.size() && IsLetter(text[end])) ++end;
      if (end == i + 1) end = std::min(text.size(), i + 2);
      const std::string_view name = text.substr(i + 1, end - i - 1);
      i = end;
      if (std::find(kDropped.begin(), kDropped.end(), name) != kDropped.end()) continue;
      if (name == " " || name == "," || name == ";" || name == ":") continue;
      if (name == "dfrac" || name == "tfrac") {
        out += "\\frac";
      } else {
        (out += '\\') += name;
      }
    } else if (IsLetter(c)) {
      size_t end = i;
      while (end < text.size() && IsLetter(text[end])) ++end;
      const std::string_view word = text.substr(i, end - i);
      out += word.size() > 1 ? LowerCase(word) : std::string(word);
      i = end;
    } else {
      if (std::string_view(" \t\n\r$\"`~{}").find(c) == std::string_view::npos) out += c;
      ++i;
    }
  }
  return out;
}

int OpensOrCloses(const MathToken& token) {
  if (token.kind == Token::kBegin) return 1;
  if (token.kind == Token::kEnd) return -1;
  if (token.kind != Token::kSymbol) return 0;
  for (const char* open : {"(", "[", "{", "\\{", "<|", "lfloor", "lceil"}) {
    if (token.text == open) return 1;
  }
  for (const char* close : {")", "]", "}", "\\}", "|>", "rfloor", "rceil"}) {
    if (token.text == close) return -1;
  }
  return 0;
}

// Calls visit(index) for every token outside of all brackets.
template <typename Visit>
void ForEachOuter(Tokens tokens, Visit visit) {
  int depth = 0;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const int change = OpensOrCloses(tokens[i]);
    if (change == 0 && depth == 0) visit(i);
    depth = std::max(0, depth + change);
  }
}

// The pieces between outer tokens that are one of the symbols; empty ones are left out.
std::vector<Tokens> Split(Tokens tokens, std::initializer_list<std::string_view> symbols) {
  std::vector<Tokens> pieces;
  size_t begin = 0;
  const auto cut = [&](size_t end) {
    if (end > begin) pieces.push_back(tokens.subspan(begin, end - begin));
    begin = end + 1;
  };
  ForEachOuter(tokens, [&](size_t i) {
    for (const std::string_view symbol : symbols) {
      if (tokens[i].Is(symbol)) return cut(i);
    }
  });
  cut(tokens.size());
  return pieces;
}

// Whether the first token opens what the last one closes.
bool IsBracketed(Tokens tokens) {
  if (tokens.size() < 2 || OpensOrCloses(tokens.front()) <= 0) return false;
  int depth = 0;
  for (size_t i = 0; i < tokens.size(); ++i) {
    depth += OpensOrCloses(tokens[i]);
    if (depth == 0) return i + 1 == tokens.size();
  }
  return false;
}

// "x", "f(x)", "(x, y)", "AB": only letters and brackets.
bool IsName(Tokens tokens) {
  return !tokens.empty() && std::all_of(tokens.begin(), tokens.end(), [](const MathToken& token) {
    return token.kind == Token::kLetter || token.Is("(") || token.Is(")") || token.Is(",") ||
           token.Is("_") || token.Is("{") || token.Is("}") ||
           (token.kind == Token::kNumber && token.text.size() == 1);
  }) && tokens.front().kind != Token::kNumber;
}

Expression Infinity(bool negative) {
  Expression infinity{.kind = Expression::Kind::kInfinity};
  if (!negative) return infinity;
  Expression minus{.kind = Expression::Kind::kNegate};
  minus.parts.push_back(std::move(infinity));
  return minus;
}

std::optional<Expression> WholeExpression(Tokens tokens) {
  size_t used = 0;
  auto expression = ParseExpression(tokens, used);
  if (!expression || used != tokens.size()) return std::nullopt;
  return expression;
}

class FormReader {
 public:
  // Nothing for what it cannot read.
  std::optional<AnswerForm> Read(Tokens tokens) {
    if (tokens.empty() || ++nesting_ > kMostNesting) return std::nullopt;
    auto form = ReadHere(tokens);
    --nesting_;
    return form;
  }

 private:
  std::optional<AnswerForm> ReadHere(Tokens tokens) {
    while (tokens.size() > 1 && tokens.front().Is("=")) tokens = tokens.subspan(1);
    const auto items = Split(tokens, {",", ";", "and", "or"});
    if (items.size() > kMostItems) return std::nullopt;
    if (items.size() > 1) return ReadList(tokens, items);
    if (items.empty()) return std::nullopt;
    tokens = items.front();
    if (const auto parts = Split(tokens, {"cup"}); parts.size() > 1) return ReadUnion(parts);
    if (auto relation = ReadRelation(tokens); relation || failed_) return relation;
    if (tokens.front().kind == Token::kBegin) return ReadMatrix(tokens);
    if (tokens.size() == 1 && tokens.front().Is("empty")) return AnswerForm{.kind = FormKind::kSet};
    if (tokens.size() == 1 && tokens.front().Is("reals")) {
      return Region({Infinity(true), Infinity(false), false, false});
    }
    if (IsBracketed(tokens)) {
      auto bracketed = ReadBracketed(tokens);
      if (bracketed) return bracketed;
    }
    if (const auto parts = Split(tokens, {":"}); parts.size() > 1) return ReadRatio(parts);
    if (auto based = ReadBased(tokens)) return based;
    return ReadValue(tokens);
  }

  static AnswerForm Region(AnswerInterval interval, std::string variable = {}) {
    AnswerForm form{.kind = FormKind::kRegion};
    form.region.push_back(std::move(interval));
    form.variable = std::move(variable);
    return form;
  }

  bool ReadItems(const std::vector<Tokens>& pieces, std::vector<AnswerForm>& items) {
    for (const Tokens piece : pieces) {
      auto item = Read(piece);
      if (!item) return false;
      items.push_back(std::move(*item));
    }
    return true;
  }

  // "1, 2", "x = 1 or x = 2", "x < 1 or x > 2", "x > 1 and x < 2".
  std::optional<AnswerForm> ReadList(Tokens tokens, const std::vector<Tokens>& pieces) {
    AnswerForm form{.kind = FormKind::kSet};
    if (!ReadItems(pieces, form.items)) return std::nullopt;
    const bool regions = std::all_of(form.items.begin(), form.items.end(), [](const AnswerForm& x) {
      return x.kind == FormKind::kRegion;
    });
    if (!regions) return form;
    bool both = true;  // "and", or a comma
    ForEachOuter(tokens, [&](size_t i) { both = both && !tokens[i].Is("or"); });
    if (!both) return Joined(form.items);
    if (form.items.size() == 2) {
      if (auto common = Intersection(form.items[0], form.items[1])) return common;
    }
    return form;
  }

  static AnswerForm Joined(const std::vector<AnswerForm>& parts) {
    AnswerForm form{.kind = FormKind::kRegion};
    for (const AnswerForm& part : parts) {
      form.region.insert(form.region.end(), part.region.begin(), part.region.end());
      if (form.variable.empty()) form.variable = part.variable;
    }
    return form;
  }

  // Of a half-line to the right and one to the left.
  static std::optional<AnswerForm> Intersection(const AnswerForm& a, const AnswerForm& b) {
    if (a.region.size() != 1 || b.region.size() != 1) return std::nullopt;
    const auto is_left = [](const AnswerInterval& x) { return IsInfinite(x.low); };
    const auto is_right = [](const AnswerInterval& x) { return IsInfinite(x.high); };
    const AnswerInterval *first = &a.region[0], *second = &b.region[0];
    if (is_left(*first)) std::swap(first, second);
    if (!is_right(*first) || is_left(*first) || !is_left(*second) || is_right(*second)) {
      return std::nullopt;
    }
    return Region({first->low, second->high, first->low_closed, second->high_closed}, a.variable);
  }

  static bool IsInfinite(const Expression& x) {
    return x.kind == Expression::Kind::kInfinity ||
           (x.parts.size() == 1 && x.parts[0].kind == Expression::Kind::kInfinity);
  }

  std::optional<AnswerForm> ReadUnion(const std::vector<Tokens>& pieces) {
    std::vector<AnswerForm> parts;
    if (!ReadItems(pieces, parts)) return std::nullopt;
    const bool sets = std::all_of(parts.begin(), parts.end(), [](const AnswerForm& part) {
      return part.kind == FormKind::kSet;
    });
    if (sets) {
      AnswerForm form{.kind = FormKind::kSet};
      for (AnswerForm& part : parts) {
        std::move(part.items.begin(), part.items.end(), std::back_inserter(form.items));
      }
      return form;
    }
    for (AnswerForm& part : parts) {
      if (part.kind == FormKind::kRegion) continue;
      auto region = RegionOf(part);
      if (!region) return std::nullopt;
      part = std::move(*region);
    }
    return Joined(parts);
  }

  // An interval that was read as a pair, or a set of points.
  static std::optional<AnswerForm> RegionOf(const AnswerForm& form) {
    AnswerForm region{.kind = FormKind::kRegion};
    const auto is_value = [](const AnswerForm& item) { return item.kind == FormKind::kValue; };
    if (!std::all_of(form.items.begin(), form.items.end(), is_value)) return std::nullopt;
    if (form.kind == FormKind::kTuple && form.items.size() == 2) {
      region.region.push_back(
          {*form.items[0].value, *form.items[1].value, form.open == '[', form.close == ']'});
      return region;
    }
    if (form.kind != FormKind::kSet) return std::nullopt;
    for (const AnswerForm& item : form.items) {
      region.region.push_back({*item.value, *item.value, true, true});
    }
    return region;
  }

  struct Operator {
    size_t at;
    std::string_view text;
  };

  // Equations and inequalities; nothing where there is no such sign (or failed_ is set).
  std::optional<AnswerForm> ReadRelation(Tokens tokens) {
    std::vector<Operator> operators;
    ForEachOuter(tokens, [&](size_t i) {
      for (const char* sign : {"=", "<", "<=", ">", ">=", "!=", "in", "~="}) {
        if (tokens[i].Is(sign)) operators.push_back({i, tokens[i].text});
      }
    });
    failed_ = false;
    if (operators.empty()) return std::nullopt;
    const auto all = [&](std::initializer_list<std::string_view> signs) {
      return std::all_of(operators.begin(), operators.end(), [&](const Operator& o) {
        return std::find(signs.begin(), signs.end(), o.text) != signs.end();
      });
    };
    const Tokens first = tokens.first(operators.front().at);
    const Tokens last = tokens.subspan(operators.back().at + 1);
    std::optional<AnswerForm> form;
    if (operators.size() == 1 && operators[0].text == "in") {
      if (IsName(first)) form = Read(last);
      if (form && form->kind == FormKind::kTuple) {
        if (auto region = RegionOf(*form)) form = std::move(region);
      }
    } else if (all({"=", "~="})) {
      form = ReadEquation(tokens, operators, first, last);
    } else if (all({"<", "<="}) || all({">", ">="})) {
      form = ReadInequality(tokens, operators);
    }
    failed_ = !form;
    return form;
  }

  std::optional<AnswerForm> ReadEquation(Tokens tokens, const std::vector<Operator>& operators,
                                         Tokens first, Tokens last) {
    if (IsName(first)) {
      // Of "x = 1/3 ≈ 0.33" the exact value counts.
      size_t end = tokens.size(), begin = operators.front().at + 1;
      for (const Operator& o : operators) {
        if (&o != &operators.front() && o.text == "~=") {
          end = std::min(end, o.at);
        } else if (o.at < end) {
          begin = o.at + 1;
        }
      }
      return Equation(first, tokens.subspan(begin, end - begin), true);
    }
    if (operators.size() == 1 && operators[0].text == "=" && IsName(last)) {
      return Equation(last, first, true);
    }
    if (operators.size() == 1 && operators[0].text == "~=") return Read(first);
    // "2 + 3 = 5" is 5, if it is true.
    const auto left = WholeExpression(first), right = WholeExpression(last);
    if (left && right && VariablesOf(*left).empty() && VariablesOf(*right).empty()) {
      if (!SameValue(*left, *right)) return std::nullopt;
      return Read(last);
    }
    if (operators.size() != 1) return std::nullopt;
    return Equation(first, last, false);
  }

  std::optional<AnswerForm> Equation(Tokens left, Tokens right, bool names) {
    AnswerForm form{.kind = FormKind::kRelation};
    form.names = names;
    if (!ReadItems({left, right}, form.items)) return std::nullopt;
    return form;
  }

  std::optional<AnswerForm> ReadInequality(Tokens tokens, const std::vector<Operator>& operators) {
    std::vector<Expression> sides;
    size_t begin = 0;
    for (size_t i = 0; i <= operators.size(); ++i) {
      const size_t end = i < operators.size() ? operators[i].at : tokens.size();
      auto side = WholeExpression(tokens.subspan(begin, end - begin));
      if (!side) return std::nullopt;
      sides.push_back(std::move(*side));
      begin = end + 1;
    }
    const auto closed = [&](size_t i) { return operators[i].text.size() == 2; };
    const bool less = operators[0].text[0] == '<';
    const auto is_variable = [](const Expression& x) {
      return x.kind == Expression::Kind::kVariable;
    };
    if (sides.size() == 2) {
      const bool variable_first = is_variable(sides[0]);
      if (!variable_first && !is_variable(sides[1])) return std::nullopt;
      const std::string name = sides[variable_first ? 0 : 1].name;
      Expression& border = sides[variable_first ? 1 : 0];
      if (variable_first == less) {
        return Region({Infinity(true), std::move(border), false, closed(0)}, name);
      }
      return Region({std::move(border), Infinity(false), closed(0), false}, name);
    }
    if (sides.size() != 3 || !is_variable(sides[1])) return std::nullopt;
    const std::string name = sides[1].name;
    if (less) {
      return Region({std::move(sides[0]), std::move(sides[2]), closed(0), closed(1)}, name);
    }
    return Region({std::move(sides[2]), std::move(sides[0]), closed(1), closed(0)}, name);
  }

  std::optional<AnswerForm> ReadBracketed(Tokens tokens) {
    const std::string &open = tokens.front().text, &close = tokens.back().text;
    const Tokens inner = tokens.subspan(1, tokens.size() - 2);
    const auto pieces = Split(inner, {",", ";"});
    if (pieces.size() > kMostItems) return std::nullopt;
    if (open == "\\{" || (open == "{" && pieces.size() > 1)) {
      if (open == "\\{" && close != "\\}") return std::nullopt;
      AnswerForm form{.kind = FormKind::kSet};
      if (!ReadItems(pieces, form.items)) return std::nullopt;
      return form;
    }
    if (open != "(" && open != "[" && open != "<|") return std::nullopt;
    if (pieces.size() > 1) {
      AnswerForm form{.kind = FormKind::kTuple};
      form.open = open == "[" ? '[' : '(';
      form.close = close == "]" ? ']' : ')';
      if (!ReadItems(pieces, form.items)) return std::nullopt;
      return form;
    }
    // Brackets around all of an answer; around a formula they are the formula's.
    const bool match = (open == "(" && close == ")") || (open == "[" && close == "]");
    return match && !WholeExpression(tokens) ? Read(inner) : std::nullopt;
  }

  std::optional<AnswerForm> ReadMatrix(Tokens tokens) {
    if (tokens.back().kind != Token::kEnd || !IsBracketed(tokens) ||
        tokens.front().text != tokens.back().text) {
      return std::nullopt;
    }
    const std::string& name = tokens.front().text;
    if (name != "array" && name.find("matrix") == std::string::npos) return std::nullopt;
    AnswerForm form{.kind = FormKind::kMatrix};
    for (const Tokens row : Split(tokens.subspan(1, tokens.size() - 2), {"\\\\"})) {
      const auto cells = Split(row, {"&"});
      if (form.columns != 0 && cells.size() != form.columns) return std::nullopt;
      form.columns = cells.size();
      if (form.items.size() + cells.size() > kMostItems || !ReadItems(cells, form.items)) {
        return std::nullopt;
      }
    }
    return form;
  }

  std::optional<AnswerForm> ReadRatio(const std::vector<Tokens>& pieces) {
    // "3:30" is a time of the day.
    if (pieces.size() == 2 && pieces[1].front().kind == Token::kNumber &&
        pieces[1].front().text.size() == 2) {
      return std::nullopt;
    }
    AnswerForm form{.kind = FormKind::kRatio};
    if (!ReadItems(pieces, form.items)) return std::nullopt;
    for (const AnswerForm& item : form.items) {
      if (item.kind != FormKind::kValue) return std::nullopt;
    }
    return form;
  }

  // "1011_2", "1011_{2}", "1011 base 2".
  static std::optional<AnswerForm> ReadBased(Tokens tokens) {
    const auto is_number = [&](size_t i) { return tokens[i].kind == Token::kNumber; };
    if (tokens.size() < 3 || !is_number(0)) return std::nullopt;
    const bool plain = tokens.size() == 3 && is_number(2) &&
                       (tokens[1].Is("_") || LowerCase(tokens[1].text) == "base");
    const bool group = tokens.size() == 5 && tokens[1].Is("_") && tokens[2].Is("{") &&
                       is_number(3) && tokens[4].Is("}");
    if (!plain && !group) return std::nullopt;
    const auto base = ParseDecimal(tokens[plain ? 2 : 3].text);
    const auto whole = base ? ToInt(*base) : std::nullopt;
    if (!whole || *whole < 2 || *whole > 36) return std::nullopt;
    AnswerForm form{.kind = FormKind::kBased};
    form.text = tokens[0].text;
    form.base = static_cast<int>(*whole);
    return form;
  }

  // A formula, and what it counts.
  static std::optional<AnswerForm> ReadValue(Tokens tokens) {
    AnswerForm form{.kind = FormKind::kValue};
    std::vector<MathToken> without_money;
    const auto money = std::find_if(tokens.begin(), tokens.end(),
                                    [](const MathToken& token) { return token.Is("$"); });
    if (money != tokens.end() && money - tokens.begin() <= 1) {
      without_money.assign(tokens.begin(), tokens.end());
      without_money.erase(without_money.begin() + (money - tokens.begin()));
      tokens = without_money;
    }
    size_t used = 0;
    form.value = ParseExpression(tokens, used);
    if (!form.value) return std::nullopt;
    Tokens rest = tokens.subspan(used);
    if (!rest.empty() && (rest[0].Is("%") || LowerCase(rest[0].text) == "percent")) {
      form.percent = true;
      rest = rest.subspan(1);
    }
    auto unit = ParseUnit(rest);
    if (!unit) return std::nullopt;
    form.unit = std::move(*unit);
    if (!without_money.empty() && form.unit.empty()) {
      form.unit.dimensions["money"] = 1;
      form.unit.factor = 100;
    }
    return form;
  }

  int nesting_ = 0;
  bool failed_ = false;
};

// "five" is 5.
std::optional<int> NumberWord(std::string_view text) {
  constexpr std::array<std::string_view, 13> kWords = {"zero", "one",    "two",   "three", "four",
                                                       "five", "six",    "seven", "eight", "nine",
                                                       "ten",  "eleven", "twelve"};
  const auto found = std::find(kWords.begin(), kWords.end(), text);
  if (found == kWords.end()) return std::nullopt;
  return static_cast<int>(found - kWords.begin());
}

}  // namespace

std::string_view UnwrapAnswer(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kPairs = {{{"$$", "$$"},
                                                                                    {"$", "$"},
                                                                                    {"\\(", "\\)"},
                                                                                    {"\\[", "\\]"},
                                                                                    {"**", "**"},
                                                                                    {"`", "`"},
                                                                                    {"\"", "\""}}};
  for (bool changed = true; changed;) {
    changed = false;
    text = Trimmed(text);
    if (text.ends_with('.') && !text.ends_with("..")) {
      text.remove_suffix(1);
      changed = true;
      continue;
    }
    for (const auto& [open, close] : kPairs) {
      if (text.size() <= open.size() + close.size() || !text.starts_with(open) ||
          !text.ends_with(close)) {
        continue;
      }
      const auto inner = text.substr(open.size(), text.size() - open.size() - close.size());
      // "$1$ and $2$" is no pair, "\$5" no end.
      if (inner.find(close) != std::string_view::npos || inner.ends_with('\\')) continue;
      text = inner;
      changed = true;
      break;
    }
    for (const std::string_view command : {"\\boxed", "\\fbox", "\\text", "\\textbf", "\\mathrm",
                                           "\\mbox", "\\textit", "\\mathbf"}) {
      std::string_view content;
      size_t end = 0;
      if (text.starts_with(command) && ReadBraces(text, command.size(), content, end) &&
          end == text.size()) {
        text = content;
        changed = true;
        break;
      }
    }
  }
  return text;
}

AnswerForm ParseAnswer(std::string_view original) {
  const std::string_view text = UnwrapAnswer(original);
  std::string comparable = ComparableText(text);
  if (const auto number = NumberWord(comparable)) {
    AnswerForm form{.kind = FormKind::kValue, .text = std::move(comparable)};
    form.value = Expression{.kind = Expression::Kind::kNumber, .number = *number};
    return form;
  }
  std::optional<AnswerForm> form;
  if (const auto tokens = TokenizeMath(text)) form = FormReader().Read(*tokens);
  if (!form) form.emplace();
  if (form->kind != FormKind::kBased) form->text = std::move(comparable);
  return std::move(*form);
}

}  // namespace fathom
