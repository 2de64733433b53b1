// Reports for programs: JSON and CSV.

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "plan/report.h"

namespace fathom {
namespace {

using nlohmann::ordered_json;

std::string CsvField(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

// JSON and CSV know no NaN.
ordered_json NumberOrNull(double value) {
  return std::isfinite(value) ? ordered_json(value) : ordered_json(nullptr);
}
std::string CsvNumber(double value) {
  return std::isfinite(value) ? fmt::format("{}", value) : std::string();
}

}  // namespace

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
      out = {{"label", row.label},
             {"value", NumberOrNull(row.value)},
             {"unit", row.unit},
             {"shown", row.shown},
             {"origin", Name(row.origin)}};
      if (!row.note.empty()) out["note"] = row.note;
      if (row.interval) {
        out["low"] = row.interval->low;
        out["high"] = row.interval->high;
      }
    }
  }
  json["answers"] = ordered_json::array();
  for (const Headline& answer : answers) {
    json["answers"].push_back({{"section", answer.section}, {"key", answer.key}});
  }
  json["tables"] = ordered_json::array();
  for (const ReportTable& table : tables) {
    ordered_json columns = ordered_json::array(), rows = ordered_json::array();
    for (const ReportTable::Column& column : table.columns) {
      columns.push_back({{"key", column.key}, {"label", column.label}, {"unit", column.unit}});
    }
    for (const std::vector<double>& row : table.rows) {
      ordered_json& out = rows.emplace_back(ordered_json::array());
      for (const double value : row) out.push_back(NumberOrNull(value));
    }
    json["tables"].push_back(
        {{"name", table.name}, {"columns", columns}, {"rows", rows}, {"note", table.note}});
    json["tables"].back()["origin"] = Name(table.origin);
    if (!table.labels.empty()) json["tables"].back()["labels"] = table.labels;
    if (!table.sources.empty()) json["tables"].back()["sources"] = table.sources;
  }
  json["tornados"] = ordered_json::array();
  for (const ReportTornado& tornado : tornados) {
    ordered_json bars = ordered_json::array();
    for (const ReportTornado::Bar& bar : tornado.bars) {
      bars.push_back({{"input", bar.input},
                      {"input_low", bar.input_low},
                      {"input_high", bar.input_high},
                      {"at_low", NumberOrNull(bar.at_low)},
                      {"at_high", NumberOrNull(bar.at_high)}});
    }
    json["tornados"].push_back({{"section", tornado.section},
                                {"key", tornado.key},
                                {"label", tornado.label},
                                {"unit", tornado.unit},
                                {"likely", tornado.likely},
                                {"headline", tornado.headline},
                                {"bars", bars}});
  }
  return json.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

std::string Report::ToCsv() const {
  std::string text = "section,key,value,unit,origin,note,low,high\r\n";
  for (const ReportSection& section : sections) {
    for (const ReportRow& row : section.rows) {
      text += fmt::format("{},{},{},{},{},{},{},{}\r\n", CsvField(section.name), CsvField(row.key),
                          row.unit == "text" ? CsvField(row.shown) : CsvNumber(row.value),
                          CsvField(row.unit), Name(row.origin), CsvField(row.note),
                          row.interval ? CsvNumber(row.interval->low) : "",
                          row.interval ? CsvNumber(row.interval->high) : "");
    }
  }
  for (const ReportTable& table : tables) {
    for (size_t r = 0; r < table.rows.size(); ++r) {
      for (size_t c = 0; c < table.columns.size(); ++c) {
        text += fmt::format("{},{},{},{},{},{},,\r\n", CsvField(table.name),
                            CsvField(fmt::format(
                                "{}.{}", table.labels.empty() ? std::to_string(r) : table.labels[r],
                                table.columns[c].key)),
                            CsvNumber(table.rows[r][c]), CsvField(table.columns[c].unit),
                            Name(table.origin),
                            CsvField(table.sources.empty() ? "" : table.sources[r]));
      }
    }
  }
  for (const ReportTornado& tornado : tornados) {
    for (const ReportTornado::Bar& bar : tornado.bars) {
      text += fmt::format("{},{},{},{},prediction,{},{},{}\r\n",
                          CsvField("what drives " + tornado.label), CsvField(bar.input),
                          CsvNumber(bar.at_high - bar.at_low), CsvField(tornado.unit),
                          CsvField(fmt::format("from {:g} to {:g}", bar.input_low, bar.input_high)),
                          CsvNumber(bar.at_low), CsvNumber(bar.at_high));
    }
  }
  return text;
}

}  // namespace fathom
