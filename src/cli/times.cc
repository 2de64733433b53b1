#include "cli/times.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>

#include "base/error.h"

namespace fathom {

std::string FormatTime(int64_t seconds) {
  const std::chrono::sys_seconds time{std::chrono::seconds(seconds)};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

int64_t ParseDay(std::string_view text, std::string_view where) {
  int year = 0, length = 0;
  unsigned month = 0, day = 0;
  const std::string copy(text);
  const bool read = std::sscanf(copy.c_str(), "%4d-%2u-%2u%n", &year, &month, &day, &length) == 3 &&
                    length == static_cast<int>(text.size()) && text.size() == 10;
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                         std::chrono::day(day)};
  if (!read || !date.ok()) {
    throw Error(where, fmt::format("'{}' is not a day", text), "for instance 2026-11-28");
  }
  return std::chrono::sys_seconds(std::chrono::sys_days(date)).time_since_epoch().count();
}

}  // namespace fathom
