#pragma once

#include <boost/multiprecision/cpp_int.hpp>
#include <cstdint>
#include <optional>
#include <string_view>

namespace fathom {

// A rational number of any size that is bounded: what would take more than kMostBits is nothing.
using ExactNumber = boost::multiprecision::cpp_rational;

inline constexpr unsigned kMostBits = 1 << 14;

// "12", "12.50", ".5", with `repeating` digits behind without end ("0." and "3" is a third).
// Nothing for other text.
std::optional<ExactNumber> ParseDecimal(std::string_view text, std::string_view repeating = {});

std::optional<ExactNumber> Add(const ExactNumber& a, const ExactNumber& b);
std::optional<ExactNumber> Multiply(const ExactNumber& a, const ExactNumber& b);
// Nothing for a division by zero.
std::optional<ExactNumber> Divide(const ExactNumber& a, const ExactNumber& b);
// Nothing where the result is not rational, or 0^0.
std::optional<ExactNumber> Power(const ExactNumber& base, const ExactNumber& exponent);
std::optional<ExactNumber> Root(const ExactNumber& value, int64_t degree);
std::optional<ExactNumber> Factorial(const ExactNumber& value);

// The largest whole number that is not larger.
ExactNumber Floor(const ExactNumber& value);
// Nothing for what is no whole number, or too large.
std::optional<int64_t> ToInt(const ExactNumber& value);
// Rounded; infinite where it is too large.
long double ToReal(const ExactNumber& value);

}  // namespace fathom
