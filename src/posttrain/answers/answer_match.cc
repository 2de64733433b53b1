#include "posttrain/answers/answer_match.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ascii.h"
#include "posttrain/answers/answer_form.h"
#include "posttrain/answers/expression_value.h"
#include "posttrain/answers/math_text.h"
#include "posttrain/answers/math_tokens.h"

namespace fathom {
namespace {

using FormKind = AnswerForm::Kind;

Expression Constant(ExactNumber value) {
  return {.kind = Expression::Kind::kNumber, .number = std::move(value)};
}

Expression Operation(Expression::Kind kind, const Expression& first, const Expression& second) {
  Expression expression{.kind = kind};
  expression.parts = {first, second};
  return expression;
}

Expression Scaled(const Expression& value, const ExactNumber& factor) {
  return Operation(Expression::Kind::kMultiply, value, Constant(factor));
}

Expression Difference(const Expression& left, const Expression& right) {
  Expression minus{.kind = Expression::Kind::kNegate};
  minus.parts = {right};
  return Operation(Expression::Kind::kAdd, left, minus);
}

// An item of a set, with what its open signs stand for.
struct Item {
  const AnswerForm* form;
  int sign;
};

class Matcher {
 public:
  explicit Matcher(const AnswerMatchOptions& options) : options_(options) {}

  bool Match(const AnswerForm& a, const AnswerForm& b) const {
    if (a.kind == b.kind && a.kind != FormKind::kBased && !a.text.empty() && a.text == b.text) {
      return true;
    }
    if (a.kind == FormKind::kRelation && b.kind == FormKind::kRelation) return Relations(a, b);
    // "x = 5" says 5.
    if (a.kind == FormKind::kRelation) return a.names && Match(a.items[1], b);
    if (b.kind == FormKind::kRelation) return b.names && Match(a, b.items[1]);
    if (a.kind == FormKind::kBased || b.kind == FormKind::kBased) return Based(a, b);
    if (a.kind == FormKind::kRegion || b.kind == FormKind::kRegion) return Regions(a, b);
    if (a.kind == FormKind::kRatio || b.kind == FormKind::kRatio) return Ratios(a, b);
    if (IsList(a) || IsList(b)) {
      return Sets(a, b) || NamedCoordinates(a, b) || NamedCoordinates(b, a);
    }
    if (a.kind == FormKind::kValue && b.kind == FormKind::kValue) return Values({&a, 1}, {&b, 1});
    if (a.kind == FormKind::kTuple && b.kind == FormKind::kTuple) return Tuples(a, b);
    if (a.kind == FormKind::kMatrix && b.kind == FormKind::kMatrix) {
      return a.columns == b.columns && ItemByItem(a, b);
    }
    return VectorAndTuple(a, b) || VectorAndTuple(b, a);
  }

 private:
  static bool IsList(const AnswerForm& form) {
    return form.kind == FormKind::kSet ||
           (form.kind == FormKind::kValue && HasPlusMinus(*form.value));
  }

  bool ItemByItem(const AnswerForm& a, const AnswerForm& b) const {
    return std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(),
                      [&](const AnswerForm& x, const AnswerForm& y) { return Match(x, y); });
  }

  bool Same(const Expression& a, const Expression& b, int sign_a = 1, int sign_b = 1) const {
    return SameValue(a, b, options_.relative_tolerance, sign_a, sign_b);
  }

  bool Values(Item a, Item b) const {
    const AnswerForm &x = *a.form, &y = *b.form;
    if (!x.unit.empty() && !y.unit.empty()) {
      return x.unit.dimensions == y.unit.dimensions &&
             Same(Scaled(*x.value, x.unit.factor), Scaled(*y.value, y.unit.factor), a.sign, b.sign);
    }
    if (Same(*x.value, *y.value, a.sign, b.sign)) return true;
    // 50 % is 1/2 as well as 50.
    const ExactNumber hundredth(1, 100);
    if (x.percent && !y.percent) {
      return Same(Scaled(*x.value, hundredth), *y.value, a.sign, b.sign);
    }
    if (y.percent && !x.percent) {
      return Same(*x.value, Scaled(*y.value, hundredth), a.sign, b.sign);
    }
    return false;
  }

  bool Tuples(const AnswerForm& a, const AnswerForm& b) const {
    // Two numbers may be an interval, and then brackets have a meaning.
    if (a.items.size() == 2 && (a.open != b.open || a.close != b.close)) return false;
    return ItemByItem(a, b);
  }

  // A column, or a row, and the same coordinates in brackets.
  bool VectorAndTuple(const AnswerForm& vector, const AnswerForm& tuple) const {
    return vector.kind == FormKind::kMatrix && tuple.kind == FormKind::kTuple &&
           (vector.columns == 1 || vector.columns == vector.items.size()) &&
           ItemByItem(vector, tuple);
  }

  // The items of a set, each open sign as two of them.
  static std::vector<Item> ItemsOf(const AnswerForm& form) {
    std::vector<Item> items;
    const auto put = [&](const AnswerForm& item) {
      const AnswerForm* value = &item;
      if (item.kind == FormKind::kRelation && item.names) value = &item.items[1];
      items.push_back({value, 1});
      if (value->kind == FormKind::kValue && HasPlusMinus(*value->value))
        items.push_back({value, -1});
    };
    if (form.kind == FormKind::kSet) {
      for (const AnswerForm& item : form.items) put(item);
    } else {
      put(form);
    }
    return items;
  }

  bool ItemsMatch(Item a, Item b) const {
    if (a.form->kind == FormKind::kValue && b.form->kind == FormKind::kValue) return Values(a, b);
    return Match(*a.form, *b.form);
  }

  // In any order, and however often each is named.
  bool Sets(const AnswerForm& a, const AnswerForm& b) const {
    // Names tell what is which: "x = 1, y = 2" is not "x = 2, y = 1".
    if (!SameNames(a, b)) return false;
    const std::vector<Item> left = ItemsOf(a), right = ItemsOf(b);
    const auto covers = [&](const std::vector<Item>& all, const std::vector<Item>& some) {
      return std::all_of(some.begin(), some.end(), [&](Item item) {
        return std::any_of(all.begin(), all.end(),
                           [&](Item other) { return ItemsMatch(item, other); });
      });
    };
    return covers(left, right) && covers(right, left);
  }

  // Whether items that are named in both are equal by name.
  bool SameNames(const AnswerForm& a, const AnswerForm& b) const {
    if (a.kind != FormKind::kSet || b.kind != FormKind::kSet) return true;
    const auto names = [](const AnswerForm& form) {
      std::vector<std::pair<std::string, const AnswerForm*>> found;
      for (const AnswerForm& item : form.items) {
        if (item.kind != FormKind::kRelation || !item.names || !item.items[0].value) continue;
        for (const std::string& name : VariablesOf(*item.items[0].value)) {
          found.emplace_back(name, &item.items[1]);
        }
      }
      std::sort(found.begin(), found.end());
      return found;
    };
    const auto left = names(a), right = names(b);
    const auto distinct = [](const auto& found) {
      return std::adjacent_find(found.begin(), found.end(), [](const auto& x, const auto& y) {
               return x.first == y.first;
             }) == found.end();
    };
    if (left.size() < 2 || left.size() != right.size() || !distinct(left) || !distinct(right)) {
      return true;
    }
    for (size_t i = 0; i < left.size(); ++i) {
      if (left[i].first != right[i].first || !Match(*left[i].second, *right[i].second)) {
        return false;
      }
    }
    return true;
  }

  // "x = 1, y = 2" is (1, 2).
  bool NamedCoordinates(const AnswerForm& list, const AnswerForm& tuple) const {
    if (list.kind != FormKind::kSet || tuple.kind != FormKind::kTuple ||
        list.items.size() != tuple.items.size()) {
      return false;
    }
    std::vector<std::pair<std::string, const AnswerForm*>> named;
    for (const AnswerForm& item : list.items) {
      if (item.kind != FormKind::kRelation || !item.names || !item.items[0].value) return false;
      const auto names = VariablesOf(*item.items[0].value);
      if (names.size() != 1) return false;
      named.emplace_back(*names.begin(), &item.items[1]);
    }
    std::sort(named.begin(), named.end());
    for (size_t i = 0; i < named.size(); ++i) {
      if (i > 0 && named[i].first == named[i - 1].first) return false;
      if (!Match(*named[i].second, tuple.items[i])) return false;
    }
    return true;
  }

  bool Relations(const AnswerForm& a, const AnswerForm& b) const {
    if (a.names && b.names && Match(a.items[0], b.items[0])) return Match(a.items[1], b.items[1]);
    for (const AnswerForm* form : {&a, &b}) {
      if (!form->items[0].value || !form->items[1].value) return false;
    }
    return SameUpToFactor(Difference(*a.items[0].value, *a.items[1].value),
                          Difference(*b.items[0].value, *b.items[1].value));
  }

  // Digits with a base, which one of them may leave out.
  static bool Based(const AnswerForm& a, const AnswerForm& b) {
    if (a.kind == b.kind) return a.text == b.text && a.base == b.base;
    return a.text == b.text;
  }

  static std::optional<std::vector<AnswerInterval>> IntervalsOf(const AnswerForm& form) {
    if (form.kind == FormKind::kRegion) return form.region;
    if (form.kind != FormKind::kTuple || form.items.size() != 2) return std::nullopt;
    for (const AnswerForm& item : form.items) {
      if (item.kind != FormKind::kValue) return std::nullopt;
    }
    return std::vector<AnswerInterval>{
        {*form.items[0].value, *form.items[1].value, form.open == '[', form.close == ']'}};
  }

  bool Regions(const AnswerForm& a, const AnswerForm& b) const {
    if (!a.variable.empty() && !b.variable.empty() && a.variable != b.variable) return false;
    auto left = IntervalsOf(a), right = IntervalsOf(b);
    if (!left || !right || left->size() != right->size()) return false;
    for (auto* intervals : {&*left, &*right}) {
      std::stable_sort(intervals->begin(), intervals->end(),
                       [](const AnswerInterval& x, const AnswerInterval& y) {
                         return RealValue(x.low).value_or(0) < RealValue(y.low).value_or(0);
                       });
    }
    return std::equal(left->begin(), left->end(), right->begin(),
                      [&](const AnswerInterval& x, const AnswerInterval& y) {
                        return SameBorder(x.low, x.low_closed, y.low, y.low_closed) &&
                               SameBorder(x.high, x.high_closed, y.high, y.high_closed);
                      });
  }

  bool SameBorder(const Expression& a, bool a_closed, const Expression& b, bool b_closed) const {
    if (!Same(a, b)) return false;
    // An infinite border belongs to no interval, whatever is written.
    const auto value = RealValue(a);
    return a_closed == b_closed || (value && std::isinf(*value));
  }

  // 2 : 3 is 4 : 6, and 2/3.
  bool Ratios(const AnswerForm& a, const AnswerForm& b) const {
    const AnswerForm& ratio = a.kind == FormKind::kRatio ? a : b;
    const AnswerForm& other = a.kind == FormKind::kRatio ? b : a;
    const Expression& first = *ratio.items[0].value;
    if (other.kind == FormKind::kValue) {
      return ratio.items.size() == 2 &&
             Same(Operation(Expression::Kind::kDivide, first, *ratio.items[1].value), *other.value);
    }
    if (other.kind != FormKind::kRatio || other.items.size() != ratio.items.size()) return false;
    for (size_t i = 1; i < ratio.items.size(); ++i) {
      if (!Same(Operation(Expression::Kind::kMultiply, first, *other.items[i].value),
                Operation(Expression::Kind::kMultiply, *ratio.items[i].value,
                          *other.items[0].value))) {
        return false;
      }
    }
    return true;
  }

  const AnswerMatchOptions& options_;
};

// The words in lower case, one space between them, none before or behind a comma.
std::string PlainText(std::string_view text) {
  std::string out;
  bool space = false;
  for (const char c : LowerCase(AsciiMath(UnwrapAnswer(text)))) {
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      space = !out.empty();
    } else if (c != '"' && c != '\'') {
      if (space && c != ',' && out.back() != ',') out += ' ';
      space = false;
      out += c;
    }
  }
  return out;
}

// The numbers of a formula of + - * / alone; false: there is something else in it.
bool CollectNumbers(const Expression& expression, std::vector<int64_t>& numbers) {
  switch (expression.kind) {
    case Expression::Kind::kNumber: {
      const auto value = ToInt(expression.number);
      if (value) numbers.push_back(*value);
      return value.has_value();
    }
    case Expression::Kind::kAdd:
    case Expression::Kind::kNegate:
    case Expression::Kind::kMultiply:
    case Expression::Kind::kDivide:
      return std::all_of(expression.parts.begin(), expression.parts.end(),
                         [&](const Expression& part) { return CollectNumbers(part, numbers); });
    default:
      return false;
  }
}

}  // namespace

bool MathAnswersMatch(std::string_view right, std::string_view given,
                      const AnswerMatchOptions& options) {
  return Matcher(options).Match(ParseAnswer(right), ParseAnswer(given));
}

bool TextAnswersMatch(std::string_view right, std::string_view given) {
  return PlainText(right) == PlainText(given);
}

bool ChoiceAnswersMatch(std::string_view right_letter, std::string_view given) {
  std::string_view text = UnwrapAnswer(given);
  while (!text.empty() && (text.front() == '(' || text.front() == '[')) text.remove_prefix(1);
  if (text.empty() || right_letter.size() != 1) return false;
  const char letter = LowerCase(text.substr(0, 1))[0];
  if (letter != LowerCase(right_letter)[0]) return false;
  // "B" and "B." are choices, "Because" and "a bird" are not.
  if (text.size() == 1) return true;
  return std::string_view(").]:,*}").find(text[1]) != std::string_view::npos;
}

bool ExpressionAnswerMatches(std::string_view right, std::span<const int64_t> numbers,
                             std::string_view given) {
  const auto tokens = TokenizeMath(UnwrapAnswer(given));
  const auto target = ParseDecimal(Trimmed(right));
  if (!tokens || !target) return false;
  const auto equals = std::find_if(tokens->begin(), tokens->end(),
                                   [](const MathToken& token) { return token.Is("="); });
  const auto count = static_cast<size_t>(equals - tokens->begin());
  size_t used = 0;
  const auto expression = ParseExpression(std::span(*tokens).first(count), used);
  if (!expression || used != count) return false;
  std::vector<int64_t> found, wanted(numbers.begin(), numbers.end());
  if (!CollectNumbers(*expression, found)) return false;
  std::sort(found.begin(), found.end());
  std::sort(wanted.begin(), wanted.end());
  const auto value = ExactValue(*expression);
  return found == wanted && value && *value == *target;
}

}  // namespace fathom
