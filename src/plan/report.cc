#include "plan/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace fathom {
namespace {

using nlohmann::ordered_json;

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

std::string CsvField(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

template <typename T>
void AddRow(ReportSection& section, std::string key, std::string label, T value, const char* unit,
            Origin origin, std::string note) {
  section.rows.push_back({std::move(key), std::move(label), value.value(), unit, Format(value),
                          origin, std::move(note)});
}

}  // namespace

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
  std::string shown = FormatNumber(value, decimals);
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

std::string Report::ToTable() const {
  size_t label_width = 0, shown_width = 0;
  for (const ReportSection& section : sections) {
    for (const ReportRow& row : section.rows) {
      label_width = std::max(label_width, row.label.size());
      if (row.unit != "text") shown_width = std::max(shown_width, row.shown.size());
    }
  }
  std::string text = title + "\n";
  for (const ReportSection& section : sections) {
    text += fmt::format("\n{}\n", section.name);
    for (const ReportRow& row : section.rows) {
      std::string line = row.unit == "text"
                             ? fmt::format("  {:<{}}  {}", row.label, label_width, row.shown)
                             : fmt::format("  {:<{}}  {:>{}}  {:<10}  {}", row.label, label_width,
                                           row.shown, shown_width, Name(row.origin), row.note);
      line.erase(line.find_last_not_of(' ') + 1);
      text += line + "\n";
    }
  }
  return text;
}

std::string Report::ToJson() const {
  ordered_json json;
  json["format"] = "fathom-plan";
  json["version"] = 1;
  json["command"] = command;
  json["title"] = title;
  for (const ReportSection& section : sections) {
    ordered_json& rows = json["sections"][section.name];
    rows = ordered_json::object();
    for (const ReportRow& row : section.rows) {
      ordered_json& out = rows[row.key];
      if (row.unit == "text") {
        out = row.shown;
        continue;
      }
      out = {{"value", row.value}, {"unit", row.unit}, {"origin", Name(row.origin)}};
      if (!row.note.empty()) out["note"] = row.note;
    }
  }
  return json.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

std::string Report::ToCsv() const {
  std::string text = "section,key,value,unit,origin,note\r\n";
  for (const ReportSection& section : sections) {
    for (const ReportRow& row : section.rows) {
      text += fmt::format("{},{},{},{},{},{}\r\n", CsvField(section.name), CsvField(row.key),
                          row.unit == "text" ? CsvField(row.shown) : fmt::format("{}", row.value),
                          row.unit, Name(row.origin), CsvField(row.note));
    }
  }
  return text;
}

void AddTornado(const Uncertainty& range, std::span<const SourcedValue> inputs,
                const std::function<std::string(size_t)>& label, ReportSection& section) {
  const double widest = range.tornado.empty() ? 1 : range.tornado.front().size();
  for (const Swing& swing : range.tornado) {
    const SourcedValue& input = inputs[swing.input];
    const std::string name = label(swing.input);
    std::string key = name;
    for (char& c : key) {
      if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))) c = '_';
    }
    const std::string bar(static_cast<size_t>(1 + 19 * swing.size() / widest), '#');
    section.Add(key, name, Dollars(swing.size()), Origin::kPrediction,
                fmt::format("{:<20} {} at {:g}, {} at {:g}", bar, Format(Dollars(swing.at_low)),
                            input.low, Format(Dollars(swing.at_high)), input.high));
  }
}

std::string Cite(const SourcedValue& value) {
  return fmt::format("{}, {}", value.source, value.date);
}

std::string Against(std::string_view published, double error) {
  return fmt::format("published {}, error {:+.1f} %", published, 100 * error);
}

}  // namespace fathom
