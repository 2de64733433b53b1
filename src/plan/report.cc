#include "plan/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/toml/toml_reader.h"

namespace fathom {
namespace {

template <typename T>
void AddRow(ReportSection& section, std::string key, std::string label, T value, const char* unit,
            Origin origin, std::string note) {
  section.rows.push_back({std::move(key), std::move(label), value.value(), unit, Format(value),
                          origin, std::move(note)});
}

}  // namespace

std::string_view Name(Origin origin) {
  switch (origin) {
    case Origin::kInput:
      return "input";
    case Origin::kPrediction:
      return "prediction";
    case Origin::kIdentity:
      return "identity";
  }
  return "";
}

void ReportSection::Add(std::string key, std::string label, Bytes value, Origin origin,
                        std::string note) {
  AddRow(*this, std::move(key), std::move(label), value, "B", origin, std::move(note));
}
void ReportSection::Add(std::string key, std::string label, Seconds value, Origin origin,
                        std::string note) {
  AddRow(*this, std::move(key), std::move(label), value, "s", origin, std::move(note));
}
void ReportSection::Add(std::string key, std::string label, Dollars value, Origin origin,
                        std::string note) {
  AddRow(*this, std::move(key), std::move(label), value, "USD", origin, std::move(note));
}
void ReportSection::Add(std::string key, std::string label, TokensPerSecond value, Origin origin,
                        std::string note) {
  AddRow(*this, std::move(key), std::move(label), value, "token/s", origin, std::move(note));
}
void ReportSection::Add(std::string key, std::string label, FlopsPerSecond value, Origin origin,
                        std::string note) {
  AddRow(*this, std::move(key), std::move(label), value, "FLOP/s", origin, std::move(note));
}

void ReportSection::AddNumber(std::string key, std::string label, double value, int decimals,
                              Origin origin, std::string note, std::string unit) {
  std::string shown = FormatCount(value, decimals);
  if (unit != "1") shown += " " + unit;
  rows.push_back({std::move(key), std::move(label), value, std::move(unit), std::move(shown),
                  origin, std::move(note)});
}

void ReportSection::AddText(std::string key, std::string label, std::string text) {
  rows.push_back({.key = std::move(key),
                  .label = std::move(label),
                  .unit = "text",
                  .shown = std::move(text),
                  .origin = Origin::kInput});
}

std::string FormatUnit(double value, std::string_view unit) {
  if (!std::isfinite(value)) return "-";
  if (unit == "B") return Format(Bytes(value));
  if (unit == "s") return Format(Seconds(value));
  if (unit == "USD") return Format(Dollars(value));
  if (unit == "token/s") return Format(TokensPerSecond(value));
  if (unit == "FLOP/s") return Format(FlopsPerSecond(value));
  if (unit == "FLOP/token") return Format(Flops(value));
  // Three digits, but all of those before the point.
  const double size = std::abs(value);
  const int decimals = size >= 99.95 || value == std::floor(value) ? 0
                       : size >= 9.995                             ? 1
                       : size >= 0.0995                            ? 2
                                                                   : 4;
  const std::string number = FormatCount(value, decimals);
  return unit == "1" ? number : fmt::format("{} {}", number, unit);
}

std::string FormatCell(double value, std::string_view unit) {
  constexpr std::string_view kShown[] = {"B", "s", "USD", "token/s", "FLOP/s", "%"};
  return FormatUnit(value, std::find(std::begin(kShown), std::end(kShown), unit) != std::end(kShown)
                               ? unit
                               : "1");
}

const ReportRow* Report::Find(std::string_view section, std::string_view key) const {
  for (const ReportSection& candidate : sections) {
    if (candidate.name != section) continue;
    for (const ReportRow& row : candidate.rows) {
      if (row.key == key) return &row;
    }
  }
  return nullptr;
}

std::string FormatRange(const Interval& interval, std::string_view unit) {
  std::string low = FormatUnit(interval.low, unit);
  const std::string high = FormatUnit(interval.high, unit);
  const size_t space = low.find(' '), other = high.find(' ');
  if (space != std::string::npos && other != std::string::npos &&
      low.compare(space, std::string::npos, high, other, std::string::npos) == 0) {
    low.erase(space);
  }
  return fmt::format("{} to {}", low, high);
}

std::string InputText(double value) {
  return std::abs(value) >= 1e4 ? FormatCount(value) : fmt::format("{:g}", value);
}

std::string Cite(const SourcedValue& value) {
  return fmt::format("{}, {}", value.source, value.date);
}

}  // namespace fathom
