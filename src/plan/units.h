#pragma once

#include <compare>
#include <string>

namespace fathom {

// A number with a dimension: exponents of bytes, floating-point operations, seconds, dollars,
// tokens and joules, in base units (one byte, one operation, ...). Only equal dimensions add,
// compare or convert; products and quotients have the dimension they should, and a quotient of
// equal dimensions is a plain double. So a time cannot be passed where money is wanted:
//   Seconds t = Flops(1e12) / FlopsPerSecond(1e15);   builds
//   Seconds t = Bytes(1e12) / FlopsPerSecond(1e15);   does not
template <int kByte, int kFlop, int kSecond, int kDollar, int kToken, int kJoule>
class Quantity {
 public:
  constexpr Quantity() = default;
  constexpr explicit Quantity(double value) : value_(value) {}

  constexpr double value() const { return value_; }

  constexpr Quantity operator+(Quantity other) const { return Quantity(value_ + other.value_); }
  constexpr Quantity operator-(Quantity other) const { return Quantity(value_ - other.value_); }
  constexpr Quantity operator*(double factor) const { return Quantity(value_ * factor); }
  constexpr Quantity operator/(double divisor) const { return Quantity(value_ / divisor); }
  constexpr Quantity& operator+=(Quantity other) { return *this = *this + other; }
  friend constexpr Quantity operator*(double factor, Quantity q) { return q * factor; }
  constexpr double operator/(Quantity other) const { return value_ / other.value_; }
  constexpr auto operator<=>(const Quantity&) const = default;

 private:
  double value_ = 0;
};

template <int b, int f, int s, int d, int t, int j, int b2, int f2, int s2, int d2, int t2, int j2>
constexpr auto operator*(Quantity<b, f, s, d, t, j> x, Quantity<b2, f2, s2, d2, t2, j2> y) {
  if constexpr (b + b2 == 0 && f + f2 == 0 && s + s2 == 0 && d + d2 == 0 && t + t2 == 0 &&
                j + j2 == 0) {
    return x.value() * y.value();
  } else {
    return Quantity<b + b2, f + f2, s + s2, d + d2, t + t2, j + j2>(x.value() * y.value());
  }
}

template <int b, int f, int s, int d, int t, int j, int b2, int f2, int s2, int d2, int t2, int j2>
constexpr auto operator/(Quantity<b, f, s, d, t, j> x, Quantity<b2, f2, s2, d2, t2, j2> y) {
  return Quantity<b - b2, f - f2, s - s2, d - d2, t - t2, j - j2>(x.value() / y.value());
}

using Bytes = Quantity<1, 0, 0, 0, 0, 0>;
using Flops = Quantity<0, 1, 0, 0, 0, 0>;  // operations, not a rate
using Seconds = Quantity<0, 0, 1, 0, 0, 0>;
using Dollars = Quantity<0, 0, 0, 1, 0, 0>;
using Tokens = Quantity<0, 0, 0, 0, 1, 0>;
using Joules = Quantity<0, 0, 0, 0, 0, 1>;

using BytesPerSecond = Quantity<1, 0, -1, 0, 0, 0>;
using FlopsPerSecond = Quantity<0, 1, -1, 0, 0, 0>;
using TokensPerSecond = Quantity<0, 0, -1, 0, 1, 0>;
using DollarsPerSecond = Quantity<0, 0, -1, 1, 0, 0>;
using Watts = Quantity<0, 0, -1, 0, 0, 1>;
using BytesPerToken = Quantity<1, 0, 0, 0, -1, 0>;
using FlopsPerToken = Quantity<0, 1, 0, 0, -1, 0>;
using SecondsPerToken = Quantity<0, 0, 1, 0, -1, 0>;
using DollarsPerToken = Quantity<0, 0, 0, 1, -1, 0>;

constexpr Seconds Hours(double hours) { return Seconds(3600 * hours); }
constexpr Seconds Days(double days) { return Seconds(86400 * days); }
constexpr double InHours(Seconds time) { return time / Hours(1); }
// A price as it is quoted: of one device for an hour, and of a million tokens.
constexpr DollarsPerSecond PerHour(double dollars) { return Dollars(dollars) / Hours(1); }
constexpr DollarsPerToken PerMillionTokens(double dollars) {
  return Dollars(dollars) / Tokens(1e6);
}
constexpr double PerMillionTokens(DollarsPerToken price) { return price / PerMillionTokens(1.0); }

// For people, with decimal prefixes and three digits (money: four, whole dollars below a million).
std::string Format(Bytes bytes);           // "678 GB"
std::string Format(Flops flops);           // "250 GFLOP"
std::string Format(Seconds time);          // "19.9 s", "14.8 ms", "121 us", "57.4 d"
std::string Format(Dollars money);         // "$5.576 M", "$87,072", "$2.19"
std::string Format(BytesPerSecond rate);   // "3.35 TB/s"
std::string Format(FlopsPerSecond rate);   // "989 TFLOPS"
std::string Format(TokensPerSecond rate);  // "73.7 k tokens/s"
std::string Format(Watts power);           // "700 W"
// "2,664,000", "226.75": at most `decimals` digits after the point, thousands apart.
std::string FormatNumber(double number, int decimals = 0);
// The same below a million; from there on four digits: "2.664 M", "671.0 B", "14.80 T".
std::string FormatCount(double number, int decimals = 0);

}  // namespace fathom
