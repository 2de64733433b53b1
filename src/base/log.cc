#include "base/log.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include <array>
#include <cmath>

namespace fathom {

void StartLogging(bool quiet) {
  auto logger = spdlog::get("fathom");
  if (logger == nullptr) logger = spdlog::stderr_color_st("fathom");
  logger->set_pattern("%^%l:%$ %v");
  logger->set_level(quiet ? spdlog::level::warn : spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

std::string FormatBytes(double bytes) {
  constexpr std::array<const char*, 6> kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  size_t unit = 0;
  // From 1023.5 on, a number would be shown as 1024.
  while (bytes >= (unit == 0 ? 1024 : 1023.5) && unit + 1 < kUnits.size()) {
    bytes /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{:.0f} B", bytes)
                   : fmt::format("{:.{}f} {}", bytes, bytes < 99.95 ? 1 : 0, kUnits[unit]);
}

std::string FormatCount(double count) {
  constexpr std::array<const char*, 5> kUnits = {"", " K", " M", " B", " T"};
  size_t unit = 0;
  // From 999.5 on, a number would be shown as 1000.
  while (count >= 999.5 && unit + 1 < kUnits.size()) {
    count /= 1000;
    ++unit;
  }
  if (unit == 0) return fmt::format("{:.0f}", count);
  return fmt::format("{:.{}f}{}", count, count < 9.995 ? 2 : count < 99.95 ? 1 : 0, kUnits[unit]);
}

std::string FormatDuration(double seconds) {
  constexpr double kLongest = 1e12;
  if (!(seconds >= 0 && seconds < kLongest)) return "?";
  if (seconds > 0 && seconds < 0.00995) return fmt::format("{:.1f} ms", 1e3 * seconds);
  if (seconds > 0 && seconds < 0.0995) return fmt::format("{:.0f} ms", 1e3 * seconds);
  if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<long long>(std::llround(seconds));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

}  // namespace fathom
