#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fathom {

// "2026-11-28T09:30:00Z" of seconds since 1970.
std::string FormatTime(int64_t seconds);
// The beginning of a day in UTC, "2026-11-28", in seconds since 1970. Error ("WHERE: ...") for
// anything else.
int64_t ParseDay(std::string_view text, std::string_view where);

}  // namespace fathom
