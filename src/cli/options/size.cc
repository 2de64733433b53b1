#include "cli/options/size.h"

#include <fmt/format.h>

#include <cctype>
#include <charconv>
#include <optional>

namespace fathom {
namespace {

constexpr double kMost = 0x1p62;

// Nothing for what is no size; any number of bytes for what is one.
std::optional<double> Bytes(std::string_view text) {
  constexpr std::string_view kPrefixes = "kmgtp";
  double count = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (code != std::errc()) return std::nullopt;
  std::string unit(end, text.data() + text.size());
  for (char& c : unit) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (unit.ends_with('b')) unit.pop_back();
  if (unit.empty()) return count;
  const bool binary = unit.size() == 2 && unit[1] == 'i';
  const size_t power = kPrefixes.find(unit[0]);
  if (power == std::string_view::npos || (unit.size() > 1 && !binary)) return std::nullopt;
  for (size_t i = 0; i <= power; ++i) count *= binary ? 1024 : 1000;
  return count;
}

}  // namespace

std::string SizeProblem(std::string_view text) {
  const std::optional<double> bytes = Bytes(text);
  if (!bytes) return fmt::format("'{}' is not a size such as 500MB or 2GiB", text);
  if (*bytes >= 1 && *bytes <= kMost) return {};
  return fmt::format("'{}' is out of range: give a size such as 500MB or 2GiB", text);
}

uint64_t ParseSize(std::string_view text) { return static_cast<uint64_t>(Bytes(text).value()); }

}  // namespace fathom
