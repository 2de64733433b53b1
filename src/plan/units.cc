#include "plan/units.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <string_view>

namespace fathom {
namespace {

// `digits` significant digits without an exponent; no trailing zeros to the right of the point
// unless digits ask for them.
std::string Significant(double number, int digits) {
  if (number == 0 || !std::isfinite(number)) return fmt::format("{}", number);
  int whole = static_cast<int>(std::floor(std::log10(std::abs(number)))) + 1;
  // 0.9996 has a digit before the point once it is rounded.
  if (std::abs(number) >= std::pow(10.0, whole) * (1 - 0.5 * std::pow(10.0, -digits))) ++whole;
  return fmt::format("{:.{}f}", number, std::max(0, digits - whole));
}

std::string WithPrefix(double number, std::string_view unit, int digits = 3) {
  constexpr std::array<const char*, 7> kPrefixes = {"", "k", "M", "G", "T", "P", "E"};
  size_t step = 0;
  double size = std::abs(number);
  // 999.95 rounds up to the next prefix.
  while (size >= 999.5 && step + 1 < kPrefixes.size()) {
    size /= 1000;
    number /= 1000;
    ++step;
  }
  return fmt::format("{} {}{}", Significant(number, digits), kPrefixes[step], unit);
}

}  // namespace

std::string FormatNumber(double number, int decimals) {
  std::string text = fmt::format("{:.{}f}", std::abs(number), decimals);
  const size_t point = text.find('.');
  for (size_t i = point == std::string::npos ? text.size() : point; i > 3; i -= 3) {
    text.insert(i - 3, ",");
  }
  return number < 0 ? "-" + text : text;
}

std::string FormatCount(double number, int decimals) {
  constexpr std::array<const char*, 4> kPowers = {" M", " B", " T", " Q"};
  double size = std::abs(number) / 1e6;
  // 999,999.7 is a million where it is shown without decimals.
  if (!(size >= 1 - 0.5e-6)) return FormatNumber(number, decimals);
  size_t step = 0;
  while (size >= 999.95 && step + 1 < kPowers.size()) {
    size /= 1000;
    ++step;
  }
  return (number < 0 ? "-" : "") + Significant(size, 4) + kPowers[step];
}

std::string Format(Bytes bytes) { return WithPrefix(bytes.value(), "B"); }
std::string Format(Flops flops) { return WithPrefix(flops.value(), "FLOP"); }
std::string Format(BytesPerSecond rate) { return WithPrefix(rate.value(), "B/s"); }
std::string Format(FlopsPerSecond rate) { return WithPrefix(rate.value(), "FLOPS"); }
std::string Format(TokensPerSecond rate) {
  if (rate.value() < 999.5) return fmt::format("{} tokens/s", Significant(rate.value(), 3));
  return WithPrefix(rate.value(), " tokens/s");
}
std::string Format(Watts power) { return WithPrefix(power.value(), "W"); }

std::string Format(Seconds time) {
  const double seconds = time.value(), size = std::abs(seconds);
  if (size == 0) return "0 s";
  if (size < 1e-6) return Significant(seconds * 1e9, 3) + " ns";
  if (size < 1e-3) return Significant(seconds * 1e6, 3) + " us";
  if (size < 1) return Significant(seconds * 1e3, 3) + " ms";
  if (size < 600) return Significant(seconds, 3) + " s";
  if (size < 2 * 86400) return Significant(seconds / 3600, 3) + " h";
  return Significant(seconds / 86400, 3) + " d";
}

std::string Format(Dollars money) {
  const double dollars = money.value(), size = std::abs(dollars);
  const char* sign = dollars < 0 ? "-" : "";
  if (size >= 999.95e9) return fmt::format("{}${} T", sign, Significant(size / 1e12, 4));
  if (size >= 999.95e6) return fmt::format("{}${} B", sign, Significant(size / 1e9, 4));
  if (size >= 1e6) return fmt::format("{}${} M", sign, Significant(size / 1e6, 4));
  if (size >= 1000) return fmt::format("{}${}", sign, FormatNumber(size));
  if (size >= 0.9995 || size == 0) return fmt::format("{}${:.2f}", sign, size);
  if (size >= 0.1) return fmt::format("{}${:.3f}", sign, size);
  return fmt::format("{}${}", sign, Significant(size, 2));
}

}  // namespace fathom
