#include "plan/sourced_value.h"

#include <cmath>
#include <limits>

#include "base/error.h"

namespace fathom {
namespace {

// YYYY, YYYY-MM or YYYY-MM-DD.
bool IsDate(std::string_view text) {
  if (text.size() != 4 && text.size() != 7 && text.size() != 10) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 4 || i == 7;
    if (dash ? text[i] != '-' : text[i] < '0' || text[i] > '9') return false;
  }
  return true;
}

}  // namespace

SourcedValue GivenValue(double value, std::string_view option) {
  return {value, value, value, fmt::format("given as '{}'", option), "now"};
}

std::optional<SourcedValue> ReadSourced(TomlTable& table, std::string_view key, double smallest,
                                        double largest,
                                        const std::optional<SourcedValue>& fallback) {
  if (!table.Has(key)) return fallback;
  TomlTable entry = table.Table(key);
  SourcedValue value;
  if (entry.Has("value")) {
    value.low = value.likely = value.high = entry.Number("value", 0, smallest, largest);
    for (const char* other : {"low", "likely", "high"}) {
      if (entry.Has(other)) {
        throw Error(entry.PathOf(other), "cannot stand beside 'value'",
                    "give value alone, or low, likely and high");
      }
    }
  } else {
    for (const char* part : {"low", "likely", "high"}) entry.Require(part);
    value.low = entry.Number("low", 0, smallest, largest);
    value.likely = entry.Number("likely", 0, smallest, largest);
    value.high = entry.Number("high", 0, smallest, largest);
    if (value.low > value.likely || value.likely > value.high) {
      throw Error(entry.PathOf("likely"), fmt::format("{} is not between low {} and high {}",
                                                      value.likely, value.low, value.high));
    }
  }
  entry.Require("source");
  entry.Require("date");
  value.source = entry.String("source", "");
  value.date = entry.String("date", "");
  if (value.source.empty()) throw Error(entry.PathOf("source"), "is empty");
  if (!IsDate(value.date)) {
    throw Error(entry.PathOf("date"), fmt::format("'{}' is not a date", value.date),
                "write YYYY, YYYY-MM or YYYY-MM-DD");
  }
  entry.Finish();
  return value;
}

}  // namespace fathom
