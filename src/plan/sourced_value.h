#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/toml/toml_reader.h"

namespace fathom {

// A number out of a data file, where it is from and when it was said. Where sources disagree it has
// a range; otherwise low = likely = high.
struct SourcedValue {
  double low = 0, likely = 0, high = 0;
  std::string source, date;
};

// What a user gave in place of a range.
SourcedValue GivenValue(double value, std::string_view option);

// Reads `key = { value = 1.0, source = "...", date = "2025-01-31" }`, or low, likely and high in
// place of value. A key that is absent is `fallback` (what a user's file overrides), or nothing
// when there is none. Throws Error naming file and key when the value is not within [smallest,
// largest], when low <= likely <= high does not hold, when source or date are missing, or when
// there is another key beside them (it names the nearest known one).
std::optional<SourcedValue> ReadSourced(TomlTable& table, std::string_view key, double smallest,
                                        double largest,
                                        const std::optional<SourcedValue>& fallback = {});

}  // namespace fathom
