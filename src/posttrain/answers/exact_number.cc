#include "posttrain/answers/exact_number.h"

#include <algorithm>
#include <cstdlib>
#include <string>

namespace fathom {
namespace {

using boost::multiprecision::cpp_int;

constexpr size_t kMostDigits = 2000;
constexpr int64_t kMostFactorial = 1000;

// The results of Boost's functions are expressions that refer to their operands: each gets a name.
unsigned Bits(const cpp_int& value) {
  const cpp_int magnitude = abs(value);
  return magnitude == 0 ? 0 : msb(magnitude) + 1;
}

unsigned Bits(const ExactNumber& value) {
  return std::max(Bits(numerator(value)), Bits(denominator(value)));
}

std::optional<ExactNumber> Bounded(ExactNumber value) {
  if (Bits(value) > kMostBits) return std::nullopt;
  return value;
}

cpp_int PowerOfTen(size_t exponent) {
  const cpp_int ten = 10;
  return pow(ten, static_cast<unsigned>(exponent));
}

bool IsDigits(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// The whole number of which this is the power; nothing when there is none.
std::optional<cpp_int> WholeRoot(const cpp_int& value, int64_t degree) {
  // Newton's iteration from above falls until it is at the root's whole part.
  cpp_int root = cpp_int(1) << (Bits(value) / static_cast<unsigned>(degree) + 1);
  for (;;) {
    const cpp_int power = pow(root, static_cast<unsigned>(degree - 1));
    const cpp_int next = ((degree - 1) * root + value / power) / degree;
    if (next >= root) break;
    root = next;
  }
  if (pow(root, static_cast<unsigned>(degree)) != value) return std::nullopt;
  return root;
}

}  // namespace

std::optional<ExactNumber> ParseDecimal(std::string_view text, std::string_view repeating) {
  if (text.size() + repeating.size() > kMostDigits) return std::nullopt;
  const size_t point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  const std::string_view fraction =
      point == std::string_view::npos ? std::string_view() : text.substr(point + 1);
  if (whole.size() + fraction.size() == 0 || !IsDigits(whole) || !IsDigits(fraction) ||
      !IsDigits(repeating)) {
    return std::nullopt;
  }
  const auto digits = [](const std::string& s) {
    // A leading zero would mean octal.
    const size_t first = s.find_first_not_of('0');
    return first == std::string::npos ? cpp_int(0) : cpp_int(s.substr(first));
  };
  const std::string before = std::string(whole) + std::string(fraction);
  if (repeating.empty()) return ExactNumber(digits(before), PowerOfTen(fraction.size()));
  // 0.1666... = (16 - 1) / 90.
  const cpp_int all = digits(before + std::string(repeating));
  return ExactNumber(all - digits(before),
                     PowerOfTen(fraction.size()) * (PowerOfTen(repeating.size()) - 1));
}

std::optional<ExactNumber> Add(const ExactNumber& a, const ExactNumber& b) {
  return Bounded(a + b);
}

std::optional<ExactNumber> Multiply(const ExactNumber& a, const ExactNumber& b) {
  return Bounded(a * b);
}

std::optional<ExactNumber> Divide(const ExactNumber& a, const ExactNumber& b) {
  if (b == 0) return std::nullopt;
  return Bounded(a / b);
}

std::optional<ExactNumber> Power(const ExactNumber& base, const ExactNumber& exponent) {
  if (base == 0 && exponent <= 0) return std::nullopt;
  const auto degree = ToInt(ExactNumber(denominator(exponent)));
  const auto times = ToInt(ExactNumber(numerator(exponent)));
  if (!degree || !times) return std::nullopt;
  if (base == 0 || base == 1) return base;
  const auto root = Root(base, *degree);
  if (!root) return std::nullopt;
  const auto size = static_cast<uint64_t>(std::llabs(*times));
  if (*root != -1 && size * std::max(Bits(*root), 1u) > kMostBits) return std::nullopt;
  if (*root == -1) return ExactNumber(size % 2 == 0 ? 1 : -1);
  const auto count = static_cast<unsigned>(size);
  const ExactNumber power(pow(numerator(*root), count), pow(denominator(*root), count));
  return *times < 0 ? ExactNumber(1 / power) : power;
}

std::optional<ExactNumber> Root(const ExactNumber& value, int64_t degree) {
  if (degree < 1 || degree > 64) return std::nullopt;
  if (degree == 1 || value == 0) return value;
  if (value < 0) {
    // The principal root is not real; that of -8, which schools write as -2, is left to `degree`
    // being odd (as calculators have it).
    if (degree % 2 == 0) return std::nullopt;
    const auto root = Root(-value, degree);
    if (!root) return std::nullopt;
    return ExactNumber(-*root);
  }
  const auto top = WholeRoot(numerator(value), degree);
  const auto bottom = WholeRoot(denominator(value), degree);
  if (!top || !bottom) return std::nullopt;
  return ExactNumber(*top, *bottom);
}

std::optional<ExactNumber> Factorial(const ExactNumber& value) {
  const auto count = ToInt(value);
  if (!count || *count < 0 || *count > kMostFactorial) return std::nullopt;
  cpp_int product = 1;
  for (int64_t i = 2; i <= *count; ++i) product *= i;
  return Bounded(ExactNumber(product));
}

ExactNumber Floor(const ExactNumber& value) {
  const cpp_int quotient = numerator(value) / denominator(value);  // towards zero
  return ExactNumber(value < 0 && quotient != value ? cpp_int(quotient - 1) : quotient);
}

std::optional<int64_t> ToInt(const ExactNumber& value) {
  if (denominator(value) != 1 || Bits(numerator(value)) > 62) return std::nullopt;
  return numerator(value).convert_to<int64_t>();
}

long double ToReal(const ExactNumber& value) { return value.convert_to<long double>(); }

}  // namespace fathom
