#include "posttrain/answers/expression.h"

#include <algorithm>
#include <utility>

namespace fathom {
namespace {

using Kind = Expression::Kind;
using Token = MathToken::Kind;

// Deeper nesting is no answer.
constexpr int kMostDepth = 60;

// What parsing stops with; caught by ParseExpression.
struct NoFormula {};

Expression Of(Kind kind, std::vector<Expression> parts) {
  return {.kind = kind, .parts = std::move(parts)};
}
Expression Of(Kind kind, Expression part) {
  std::vector<Expression> parts;
  parts.push_back(std::move(part));
  return Of(kind, std::move(parts));
}
Expression Of(Kind kind, Expression first, Expression second) {
  std::vector<Expression> parts;
  parts.push_back(std::move(first));
  parts.push_back(std::move(second));
  return Of(kind, std::move(parts));
}
Expression Number(ExactNumber value) { return {.kind = Kind::kNumber, .number = std::move(value)}; }

// By recursive descent. From loose to tight: sums; products and quotients, written or not; signs;
// powers; what stands behind (factorials, degrees); what stands alone.
class Parser {
 public:
  explicit Parser(std::span<const MathToken> tokens) : tokens_(tokens) {}

  Expression Sum() {
    const Nesting nesting(*this);
    Expression left = Leading();
    for (;;) {
      if (Take("+")) {
        left = Of(Kind::kAdd, std::move(left), Product());
      } else if (Take("-")) {
        left = Of(Kind::kAdd, std::move(left), Of(Kind::kNegate, Product()));
      } else if (Take("+-")) {
        left = Of(Kind::kAdd, std::move(left), Of(Kind::kPlusMinus, Product()));
      } else if (Take("-+")) {
        left = Of(Kind::kAdd, std::move(left), Of(Kind::kMinusPlus, Product()));
      } else {
        return left;
      }
    }
  }

  size_t at() const { return at_; }

 private:
  class Nesting {
   public:
    explicit Nesting(Parser& parser) : parser_(parser) {
      if (++parser_.depth_ > kMostDepth) throw NoFormula();
    }
    ~Nesting() { --parser_.depth_; }

   private:
    Parser& parser_;
  };

  const MathToken* Peek(size_t ahead = 0) const {
    return at_ + ahead < tokens_.size() ? &tokens_[at_ + ahead] : nullptr;
  }
  bool Sees(std::string_view symbol, size_t ahead = 0) const {
    return Peek(ahead) != nullptr && Peek(ahead)->Is(symbol);
  }
  bool Take(std::string_view symbol) {
    if (!Sees(symbol)) return false;
    ++at_;
    return true;
  }
  void Want(std::string_view symbol) {
    if (!Take(symbol)) throw NoFormula();
  }

  Expression Leading() {
    if (Take("+-")) return Of(Kind::kPlusMinus, Product());
    if (Take("-+")) return Of(Kind::kMinusPlus, Product());
    return Product();
  }

  Expression Product() {
    Expression left = Signed();
    for (;;) {
      if (Take("*")) {
        left = Of(Kind::kMultiply, std::move(left), Signed());
      } else if (Sees("/")) {
        // "12 / hour" ends before the stroke.
        const size_t before = at_++;
        if (Peek() != nullptr && Peek()->kind == Token::kWord) {
          at_ = before;
          return left;
        }
        left = Of(Kind::kDivide, std::move(left), Signed());
      } else if (StartsFactor()) {
        left = Of(Kind::kMultiply, std::move(left), PowerOf());
      } else {
        return left;
      }
    }
  }

  Expression Signed() {
    const Nesting nesting(*this);
    if (Take("-")) return Of(Kind::kNegate, Signed());
    if (Take("+")) return Signed();
    return PowerOf();
  }

  // Whether a factor follows without a sign: not a number behind a number.
  bool StartsFactor() const {
    const MathToken* token = Peek();
    if (token == nullptr) return false;
    switch (token->kind) {
      case Token::kLetter:
      case Token::kName:
        return true;
      case Token::kSymbol:
        return token->text == "(" || token->text == "{" || token->text == "lfloor" ||
               token->text == "lceil" || (token->text == "|" && inside_bars_ == 0);
      default:
        return false;
    }
  }

  Expression PowerOf() {
    const Nesting nesting(*this);
    Expression base = Postfix();
    if (!Take("^")) return base;
    Expression exponent = Exponent();
    Expression power = Of(Kind::kPower, std::move(base), std::move(exponent));
    return Behind(std::move(power));
  }

  Expression Exponent() {
    if (Sees("{")) return Group();
    if (Take("-")) return Of(Kind::kNegate, Exponent());
    return Postfix();
  }

  Expression Postfix() { return Behind(Primary()); }

  // Factorials, and degrees inside of a function.
  Expression Behind(Expression value) {
    for (;;) {
      if (Take("!")) {
        value = Of(Kind::kFactorial, std::move(value));
      } else if (inside_function_ > 0 && Peek() != nullptr && Peek()->kind == Token::kDegree) {
        ++at_;
        value = Of(Kind::kMultiply, std::move(value),
                   Of(Kind::kDivide, {.kind = Kind::kPi}, Number(180)));
      } else {
        return value;
      }
    }
  }

  Expression Group() {
    Want("{");
    // A group stands for itself: bars around it are not its own.
    const int bars = std::exchange(inside_bars_, 0);
    Expression inner = Sum();
    inside_bars_ = bars;
    Want("}");
    return inner;
  }

  Expression Bracketed(std::string_view close) {
    ++at_;
    const int bars = std::exchange(inside_bars_, 0);
    Expression inner = Sum();
    inside_bars_ = bars;
    Want(close);
    return inner;
  }

  Expression Primary() {
    const Nesting nesting(*this);
    const MathToken* token = Peek();
    if (token == nullptr) throw NoFormula();
    switch (token->kind) {
      case Token::kNumber:
        return NumberOrMixed();
      case Token::kLetter:
        return Letter();
      case Token::kName:
        return Named();
      case Token::kSymbol:
        break;
      default:
        throw NoFormula();
    }
    if (token->Is("(")) return Bracketed(")");
    if (token->Is("[")) return Bracketed("]");
    if (token->Is("{")) return Group();
    if (token->Is("lfloor")) return Of(Kind::kFloor, Bracketed("rfloor"));
    if (token->Is("lceil")) return Of(Kind::kCeiling, Bracketed("rceil"));
    if (token->Is("|")) {
      ++at_;
      ++inside_bars_;
      Expression inner = Sum();
      --inside_bars_;
      Want("|");
      return Of(Kind::kAbsolute, std::move(inner));
    }
    throw NoFormula();
  }

  static ExactNumber ValueOf(const MathToken& token) {
    const auto value = ParseDecimal(token.text, token.repeating);
    if (!value) throw NoFormula();
    return *value;
  }

  bool SeesWhole(size_t ahead) const {
    const MathToken* token = Peek(ahead);
    return token != nullptr && token->kind == Token::kNumber && token->repeating.empty() &&
           token->text.find('.') == std::string::npos;
  }

  // "3\frac{1}{2}" and "3 1/2" are three and a half.
  Expression NumberOrMixed() {
    const bool whole = SeesWhole(0);
    Expression number = Number(ValueOf(*Peek()));
    ++at_;
    if (!whole) return number;
    if (Peek() != nullptr && Peek()->IsName("frac")) {
      const size_t before = at_;
      Expression fraction = Named();
      if (fraction.parts[0].kind == Kind::kNumber && fraction.parts[1].kind == Kind::kNumber) {
        return Of(Kind::kAdd, std::move(number), std::move(fraction));
      }
      at_ = before;
    } else if (SeesWhole(0) && Peek()->space && Sees("/", 1) && SeesWhole(2)) {
      Expression top = Number(ValueOf(*Peek(0))), bottom = Number(ValueOf(*Peek(2)));
      at_ += 3;
      return Of(Kind::kAdd, std::move(number),
                Of(Kind::kDivide, std::move(top), std::move(bottom)));
    }
    return number;
  }

  Expression Letter() {
    std::string name = Peek()->text;
    ++at_;
    if (Take("_")) {
      // A subscript is part of the name.
      name += '_';
      if (Take("{")) {
        while (!Take("}")) {
          if (Peek() == nullptr) throw NoFormula();
          name += Peek()->text;
          ++at_;
        }
      } else {
        const MathToken* token = Peek();
        if (token == nullptr || (token->kind != Token::kNumber && token->kind != Token::kLetter)) {
          throw NoFormula();
        }
        name += token->text;
        ++at_;
      }
    }
    if (name == "e") return {.kind = Kind::kE};
    if (name == "i") return {.kind = Kind::kImaginary};
    return {.kind = Kind::kVariable, .name = std::move(name)};
  }

  // What a command takes: a group, or the one digit or letter that follows ("\frac12").
  Expression Argument() {
    if (Sees("{")) return Group();
    if (Take("-")) return Of(Kind::kNegate, Argument());
    const MathToken* token = Peek();
    if (token == nullptr || token->kind != Token::kNumber) return Primary();
    const std::string& text = token->text;
    const char digit = text[digit_];
    if (digit < '0' || digit > '9') throw NoFormula();
    Expression number = Number(digit - '0');
    // The rest of the number stays.
    if (++digit_ == text.size()) {
      digit_ = 0;
      ++at_;
    }
    return number;
  }

  Expression Named() {
    const std::string name = Peek()->text;
    ++at_;
    if (name == "pi") return {.kind = Kind::kPi};
    if (name == "infinity") return {.kind = Kind::kInfinity};
    if (name == "frac" || name == "binom") {
      Expression top = Argument();
      Expression bottom = Argument();
      // "\frac123" is no LaTeX that we know the meaning of.
      if (digit_ != 0) throw NoFormula();
      return Of(name == "frac" ? Kind::kDivide : Kind::kBinomial, std::move(top),
                std::move(bottom));
    }
    if (name == "sqrt") return SquareRoot();
    return Function(name);
  }

  Expression SquareRoot() {
    Expression degree = Number(2);
    if (Sees("[")) degree = Bracketed("]");
    // All of a number: nobody means the root of its first digit.
    Expression value = Sees("{") ? Group() : Primary();
    return Of(Kind::kRoot, std::move(value), std::move(degree));
  }

  Expression Function(const std::string& name) {
    std::optional<Expression> base, exponent;
    if (Take("_")) base = Sees("{") ? Group() : Argument();
    if (digit_ != 0) {
      // "\log_28": the base is 2, and the rest of the number follows.
      MathToken rest = tokens_[at_];
      rest.text.erase(0, digit_);
      digit_ = 0;
      ++at_;
      return Applied(name, std::move(base), std::nullopt, Number(ValueOf(rest)));
    }
    if (Take("^")) exponent = Exponent();
    ++inside_function_;
    Expression argument = FunctionArgument();
    --inside_function_;
    return Applied(name, std::move(base), std::move(exponent), std::move(argument));
  }

  // Brackets, or factors up to a sign or another function: "\sin 2x \cos x".
  Expression FunctionArgument() {
    if (Sees("(")) return Postfix();
    if (Sees("-")) return Signed();
    Expression argument = PowerOf();
    while (StartsFactor() && Peek()->kind != Token::kName && !Sees("(")) {
      argument = Of(Kind::kMultiply, std::move(argument), PowerOf());
    }
    if (Peek() != nullptr && Peek()->IsName("pi")) {
      argument = Of(Kind::kMultiply, std::move(argument), PowerOf());
    }
    if (Sees("/")) {
      // "\sin \pi/6": the quotient, where a number follows.
      if (Peek(1) != nullptr && Peek(1)->kind == Token::kNumber) {
        ++at_;
        argument = Of(Kind::kDivide, std::move(argument), Postfix());
      }
    }
    return argument;
  }

  static Expression Applied(const std::string& name, std::optional<Expression> base,
                            std::optional<Expression> exponent, Expression argument) {
    Expression value;
    if (name == "abs") {
      value = Of(Kind::kAbsolute, std::move(argument));
    } else if (name == "floor" || name == "ceil") {
      value = Of(name == "floor" ? Kind::kFloor : Kind::kCeiling, std::move(argument));
    } else if (name == "exp") {
      value = Of(Kind::kPower, {.kind = Kind::kE}, std::move(argument));
    } else if (name == "log" || name == "lg") {
      value = Of(Kind::kLogarithm, base ? std::move(*base) : Number(10), std::move(argument));
    } else if (name == "ln") {
      value = Of(Kind::kLogarithm, {.kind = Kind::kE}, std::move(argument));
    } else {
      value = Of(Kind::kFunction, std::move(argument));
      value.name =
          name.starts_with("a") && !name.starts_with("arc") ? "arc" + name.substr(1) : name;
    }
    if (!exponent) return value;
    return Of(Kind::kPower, std::move(value), std::move(*exponent));
  }

  std::span<const MathToken> tokens_;
  size_t at_ = 0;
  size_t digit_ = 0;  // digits of the token at at_ that are used up
  int depth_ = 0, inside_bars_ = 0, inside_function_ = 0;
};

template <typename Visit>
void ForEachPart(const Expression& expression, Visit visit) {
  visit(expression);
  for (const Expression& part : expression.parts) ForEachPart(part, visit);
}

}  // namespace

std::optional<Expression> ParseExpression(std::span<const MathToken> tokens, size_t& used) {
  Parser parser(tokens);
  try {
    Expression expression = parser.Sum();
    used = parser.at();
    return expression;
  } catch (const NoFormula&) {
    return std::nullopt;
  }
}

std::set<std::string> VariablesOf(const Expression& expression) {
  std::set<std::string> names;
  ForEachPart(expression, [&](const Expression& part) {
    if (part.kind == Kind::kVariable) names.insert(part.name);
  });
  return names;
}

bool HasPlusMinus(const Expression& expression) {
  bool has = false;
  ForEachPart(expression, [&](const Expression& part) {
    has = has || part.kind == Kind::kPlusMinus || part.kind == Kind::kMinusPlus;
  });
  return has;
}

}  // namespace fathom
