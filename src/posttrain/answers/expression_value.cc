#include "posttrain/answers/expression_value.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <limits>
#include <numbers>
#include <string>

#include "base/hash.h"

namespace fathom {
namespace {

using Kind = Expression::Kind;
using Real = long double;
using Complex = std::complex<Real>;

constexpr Real kInfinite = std::numeric_limits<Real>::infinity();
constexpr Real kRounding = std::numeric_limits<Real>::epsilon();
// Where formulas with variables are computed, and at how many places both have to be defined.
constexpr int kPlaces = 8, kFewestPlaces = 3;
// Values whose errors are larger than this part of them say nothing.
constexpr Real kUncertain = 1e-9L;
constexpr int64_t kMostBinomial = 1000;

// A value, and a bound (roughly: in first order) of its error.
struct Estimate {
  Complex value = 0;
  Real error = 0;
};

bool IsDefined(const Estimate& x) {
  return !std::isnan(x.value.real()) && !std::isnan(x.value.imag()) && !std::isnan(x.error);
}
bool IsReal(const Estimate& x) { return x.value.imag() == 0; }
Real Size(const Estimate& x) { return std::abs(x.value); }
Estimate Undefined() { return {std::numeric_limits<Real>::quiet_NaN(), 0}; }

// The error of f(x), its slope taken from a second point.
template <typename F>
Estimate Applied(F f, const Estimate& x) {
  const Complex value = f(x.value);
  const Real step = std::max(Size(x) * 1e-8L, 1e-8L);
  const Complex beside = f(x.value + step);
  Real slope = std::abs(beside - value) / step;
  if (std::isnan(slope)) slope = std::abs(value) / step;
  return {value, slope * x.error + 8 * kRounding * std::abs(value)};
}

Estimate Product(const Estimate& a, const Estimate& b) {
  // Complex products of infinities are not numbers.
  const Complex value =
      IsReal(a) && IsReal(b) ? Complex(a.value.real() * b.value.real()) : a.value * b.value;
  return {value, Size(a) * b.error + Size(b) * a.error + 2 * kRounding * std::abs(value)};
}

Estimate Quotient(const Estimate& a, const Estimate& b) {
  if (Size(b) <= 4 * b.error || b.value == Complex(0)) return Undefined();
  const Complex value =
      IsReal(a) && IsReal(b) ? Complex(a.value.real() / b.value.real()) : a.value / b.value;
  return {value, (a.error + std::abs(value) * b.error) / Size(b) + 4 * kRounding * std::abs(value)};
}

Estimate Raised(const Estimate& base, const Estimate& exponent) {
  if (base.value == Complex(0)) {
    return IsReal(exponent) && exponent.value.real() > 0 ? Estimate{0, base.error} : Undefined();
  }
  Complex value;
  const bool whole = IsReal(exponent) && exponent.error == 0 &&
                     exponent.value.real() == std::nearbyint(exponent.value.real());
  if (IsReal(base) && IsReal(exponent) && (base.value.real() > 0 || whole)) {
    value = std::pow(base.value.real(), exponent.value.real());
  } else {
    value = std::pow(base.value, exponent.value);
  }
  const Real relative =
      Size(exponent) * base.error / Size(base) + std::abs(std::log(base.value)) * exponent.error;
  return {value, std::abs(value) * (relative + 16 * kRounding)};
}

Estimate RootOf(const Estimate& value, const Estimate& degree) {
  // An odd root of a negative number is negative, as in ExactValue.
  if (IsReal(value) && value.value.real() < 0 && IsReal(degree)) {
    const Real d = degree.value.real();
    if (d == std::nearbyint(d) && std::fmod(d, 2) != 0) {
      Estimate root = RootOf({-value.value, value.error}, degree);
      root.value = -root.value;
      return root;
    }
  }
  if (Size(value) <= value.error) return {0, std::sqrt(value.error)};
  return Raised(value, Quotient({1, 0}, degree));
}

Estimate FactorialOf(const Estimate& value) {
  if (!IsReal(value)) return Undefined();
  return Applied([](Complex x) { return Complex(std::tgamma(x.real() + 1)); }, value);
}

Estimate FunctionOf(const std::string& name, const Estimate& x) {
  const auto with = [&](auto f) { return Applied(f, x); };
  if (name == "sin") return with([](Complex z) { return std::sin(z); });
  if (name == "cos") return with([](Complex z) { return std::cos(z); });
  const auto over = [&](auto top, auto bottom) { return Quotient(with(top), with(bottom)); };
  const auto one = [](Complex) { return Complex(1); };
  const auto sine = [](Complex z) { return std::sin(z); };
  const auto cosine = [](Complex z) { return std::cos(z); };
  if (name == "tan") return over(sine, cosine);
  if (name == "cot") return over(cosine, sine);
  if (name == "sec") return over(one, cosine);
  if (name == "csc") return over(one, sine);
  if (name == "sinh") return with([](Complex z) { return std::sinh(z); });
  if (name == "cosh") return with([](Complex z) { return std::cosh(z); });
  if (name == "tanh") return with([](Complex z) { return std::tanh(z); });
  if (name == "arcsin") return with([](Complex z) { return std::asin(z); });
  if (name == "arccos") return with([](Complex z) { return std::acos(z); });
  if (name == "arctan") return with([](Complex z) { return std::atan(z); });
  return Undefined();
}

// The value of a variable at a place: its own, between 0.5 and 2.5, negative at some places.
Real ValueOfVariable(const std::string& name, int place) {
  const uint64_t bits = HashOf(name, static_cast<uint64_t>(place) + 1);
  const Real size = 0.5L + 2 * static_cast<Real>(bits >> 11) * 0x1.0p-53L;
  return place >= kPlaces / 2 && bits % 2 == 0 ? -size : size;
}

struct Place {
  int number;
  int sign;
};

Estimate EstimateAt(const Expression& expression, Place place) {
  const auto part = [&](size_t i) { return EstimateAt(expression.parts[i], place); };
  const auto negated = [&](Estimate x) {
    x.value = IsReal(x) ? Complex(-x.value.real()) : -x.value;
    return x;
  };
  switch (expression.kind) {
    case Kind::kNumber: {
      const Real value = ToReal(expression.number);
      const auto whole = ToInt(expression.number);
      return {value, whole ? 0 : kRounding * std::fabs(value)};
    }
    case Kind::kVariable:
      return {ValueOfVariable(expression.name, place.number), 0};
    case Kind::kPi:
      return {std::numbers::pi_v<Real>, kRounding * 4};
    case Kind::kE:
      return {std::numbers::e_v<Real>, kRounding * 4};
    case Kind::kImaginary:
      return {Complex(0, 1), 0};
    case Kind::kInfinity:
      return {kInfinite, 0};
    case Kind::kAdd: {
      const Estimate a = part(0), b = part(1);
      const Complex sum = a.value + b.value;
      return {sum, a.error + b.error + kRounding * std::abs(sum)};
    }
    case Kind::kNegate:
      return negated(part(0));
    case Kind::kPlusMinus:
      return place.sign > 0 ? part(0) : negated(part(0));
    case Kind::kMinusPlus:
      return place.sign > 0 ? negated(part(0)) : part(0);
    case Kind::kFactorial:
      return FactorialOf(part(0));
    case Kind::kAbsolute: {
      const Estimate a = part(0);
      return {Size(a), a.error + kRounding * Size(a)};
    }
    case Kind::kFloor:
    case Kind::kCeiling: {
      const Estimate a = part(0);
      if (!IsReal(a)) return Undefined();
      const bool floor = expression.kind == Kind::kFloor;
      return {floor ? std::floor(a.value.real()) : std::ceil(a.value.real()), 0};
    }
    case Kind::kFunction:
      return FunctionOf(expression.name, part(0));
    case Kind::kPower:
      return Raised(part(0), part(1));
    case Kind::kMultiply:
      return Product(part(0), part(1));
    case Kind::kDivide:
      return Quotient(part(0), part(1));
    case Kind::kRoot:
      return RootOf(part(0), part(1));
    case Kind::kLogarithm: {
      const auto logarithm = [](Complex z) {
        return z.imag() == 0 && z.real() > 0 ? Complex(std::log(z.real())) : std::log(z);
      };
      return Quotient(Applied(logarithm, part(1)), Applied(logarithm, part(0)));
    }
    case Kind::kBinomial: {
      const Estimate n = part(0), k = part(1);
      const auto minus = [](const Estimate& a, const Estimate& b) {
        return Estimate{a.value - b.value, a.error + b.error};
      };
      return Quotient(FactorialOf(n), Product(FactorialOf(k), FactorialOf(minus(n, k))));
    }
  }
  return Undefined();
}

enum class Comparison { kEqual, kDifferent, kUnknown };

Comparison Compare(const Estimate& a, const Estimate& b, double relative_tolerance) {
  if (!IsDefined(a) || !IsDefined(b)) return Comparison::kUnknown;
  if (std::isinf(Size(a)) || std::isinf(Size(b))) {
    // What is infinite because it was too large says nothing.
    if (a.error > 0 || b.error > 0) return Comparison::kUnknown;
    return a.value == b.value ? Comparison::kEqual : Comparison::kDifferent;
  }
  const Real size = std::max(Size(a), Size(b));
  const Real bound = 16 * (a.error + b.error);
  const Real difference = std::abs(a.value - b.value);
  if (relative_tolerance > 0 && difference <= relative_tolerance * size) return Comparison::kEqual;
  if (bound > kUncertain * std::max(size, Real{1})) return Comparison::kUnknown;
  return difference <= bound ? Comparison::kEqual : Comparison::kDifferent;
}

bool IsConstant(const Expression& expression) { return VariablesOf(expression).empty(); }

std::optional<ExactNumber> ExactBinomial(const ExactNumber& n, const ExactNumber& k) {
  const auto top = ToInt(n), bottom = ToInt(k);
  if (!top || !bottom || *top < 0 || *top > kMostBinomial || *bottom < 0) return std::nullopt;
  ExactNumber value = 1;
  for (int64_t i = 0; i < *bottom && value != 0; ++i) value = value * (*top - i) / (i + 1);
  return value;
}

}  // namespace

std::optional<ExactNumber> ExactValue(const Expression& expression, int sign) {
  std::array<std::optional<ExactNumber>, 2> parts;
  for (size_t i = 0; i < expression.parts.size() && i < 2; ++i) {
    parts[i] = ExactValue(expression.parts[i], sign);
    if (!parts[i]) return std::nullopt;
  }
  const auto negated = [&]() { return ExactNumber(-*parts[0]); };
  switch (expression.kind) {
    case Kind::kNumber:
      return expression.number;
    case Kind::kAdd:
      return Add(*parts[0], *parts[1]);
    case Kind::kNegate:
      return negated();
    case Kind::kPlusMinus:
      return sign > 0 ? *parts[0] : negated();
    case Kind::kMinusPlus:
      return sign > 0 ? negated() : *parts[0];
    case Kind::kFactorial:
      return Factorial(*parts[0]);
    case Kind::kAbsolute:
      return *parts[0] < 0 ? negated() : *parts[0];
    case Kind::kFloor:
      return Floor(*parts[0]);
    case Kind::kCeiling:
      return ExactNumber(-Floor(negated()));
    case Kind::kPower:
      // The principal value of a root of a negative number is not real.
      if (*parts[0] < 0 && denominator(*parts[1]) != 1) return std::nullopt;
      return Power(*parts[0], *parts[1]);
    case Kind::kMultiply:
      return Multiply(*parts[0], *parts[1]);
    case Kind::kDivide:
      return Divide(*parts[0], *parts[1]);
    case Kind::kRoot: {
      const auto degree = ToInt(*parts[1]);
      return degree ? Root(*parts[0], *degree) : std::nullopt;
    }
    case Kind::kBinomial:
      return ExactBinomial(*parts[0], *parts[1]);
    default:
      return std::nullopt;
  }
}

bool SameValue(const Expression& a, const Expression& b, double relative_tolerance, int sign_of_a,
               int sign_of_b) {
  const auto exact_a = ExactValue(a, sign_of_a), exact_b = ExactValue(b, sign_of_b);
  if (exact_a && exact_b) {
    if (*exact_a == *exact_b) return true;
    if (relative_tolerance <= 0) return false;
  }
  const bool constant = IsConstant(a) && IsConstant(b);
  const int places = constant ? 1 : kPlaces;
  int equal = 0;
  for (int place = 0; place < places; ++place) {
    switch (Compare(EstimateAt(a, {place, sign_of_a}), EstimateAt(b, {place, sign_of_b}),
                    constant ? relative_tolerance : 0)) {
      case Comparison::kEqual:
        ++equal;
        break;
      case Comparison::kDifferent:
        return false;
      case Comparison::kUnknown:
        break;
    }
  }
  return equal >= (constant ? 1 : kFewestPlaces);
}

bool SameUpToFactor(const Expression& a, const Expression& b) {
  if (VariablesOf(a) != VariablesOf(b)) return false;
  std::optional<Estimate> factor;
  int equal = 0;
  for (int place = 0; place < kPlaces; ++place) {
    const Estimate ratio = Quotient(EstimateAt(a, {place, 1}), EstimateAt(b, {place, 1}));
    if (!IsDefined(ratio) || Size(ratio) == 0) continue;
    if (!factor) factor = ratio;
    if (Compare(ratio, *factor, 0) != Comparison::kEqual) return false;
    ++equal;
  }
  return equal >= kFewestPlaces;
}

std::optional<long double> RealValue(const Expression& expression) {
  if (!IsConstant(expression)) return std::nullopt;
  const Estimate estimate = EstimateAt(expression, {0, 1});
  if (!IsDefined(estimate) || !IsReal(estimate)) return std::nullopt;
  return estimate.value.real();
}

}  // namespace fathom
