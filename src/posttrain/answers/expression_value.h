#pragma once

#include <optional>

#include "posttrain/answers/exact_number.h"
#include "posttrain/answers/expression.h"

namespace fathom {

// sign: what an open sign of the formula stands for, 1 or -1.
// Nothing where the value is not rational, is not known to be, has variables or is too large.
std::optional<ExactNumber> ExactValue(const Expression& expression, int sign = 1);

// Whether two formulas have the same value, for all values of their variables. Rational values are
// compared exactly. Others are computed in long double at a few places (positive and negative, the
// same for a variable's name in both) together with a bound of their rounding errors, and are
// equal where they differ by less than that bound everywhere: what is unequal can pass only if it
// agrees to about 17 digits at all places. relative_tolerance: constants that differ by no more
// are equal too. Formulas that are defined nowhere are not equal.
bool SameValue(const Expression& a, const Expression& b, double relative_tolerance = 0,
               int sign_of_a = 1, int sign_of_b = 1);

// Whether a = 0 and b = 0 say the same: a is b times a number that is not zero.
bool SameUpToFactor(const Expression& a, const Expression& b);

// A real constant as a number, perhaps infinite; nothing for other formulas. For putting in order.
std::optional<long double> RealValue(const Expression& expression);

}  // namespace fathom
