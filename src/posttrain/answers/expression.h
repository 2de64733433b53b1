#pragma once

#include <cstddef>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "posttrain/answers/exact_number.h"
#include "posttrain/answers/math_tokens.h"

namespace fathom {

// A formula as a tree.
struct Expression {
  enum class Kind {
    kNumber,
    kVariable,  // name
    kPi,
    kE,
    kImaginary,
    kInfinity,
    kAdd,        // of two
    kNegate,     // of one, as the following until kPower
    kPlusMinus,  // + or -, all of a formula at once
    kMinusPlus,  // the other way round
    kFactorial,
    kAbsolute,
    kFloor,
    kCeiling,
    kFunction,  // name
    kPower,     // base, exponent
    kMultiply,
    kDivide,
    kRoot,       // value, degree
    kLogarithm,  // base, value
    kBinomial,
  };
  Kind kind = Kind::kNumber;
  ExactNumber number = 0;
  std::string name{};
  std::vector<Expression> parts{};
};

// The longest formula that the tokens begin with; used: how many they are. Nothing when they begin
// with none, or one that nests too deep.
std::optional<Expression> ParseExpression(std::span<const MathToken> tokens, size_t& used);

// The names of its variables.
std::set<std::string> VariablesOf(const Expression& expression);
// Whether a sign in it is open.
bool HasPlusMinus(const Expression& expression);

}  // namespace fathom
