#include "plan/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
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

std::string FormatUnit(double value, std::string_view unit) {
  if (!std::isfinite(value)) return "-";
  if (unit == "B") return Format(Bytes(value));
  if (unit == "s") return Format(Seconds(value));
  if (unit == "USD") return Format(Dollars(value));
  if (unit == "token/s") return Format(TokensPerSecond(value));
  if (unit == "FLOP/s") return Format(FlopsPerSecond(value));
  if (unit == "FLOP/token") return Format(Flops(value));
  const double size = std::abs(value);
  const std::string number = FormatNumber(value, size >= 100 || value == std::floor(value) ? 0
                                                 : size >= 1                               ? 2
                                                                                           : 4);
  return unit == "1" ? number : fmt::format("{} {}", number, unit);
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

namespace {

std::string IntervalText(const ReportRow& row) {
  if (!row.interval) return "";
  return fmt::format("90 %: {} to {}", FormatUnit(row.interval->low, row.unit),
                     FormatUnit(row.interval->high, row.unit));
}

std::string TableText(const ReportTable& table) {
  std::vector<std::vector<std::string>> cells(1);
  if (!table.labels.empty()) cells[0].emplace_back();
  for (const ReportTable::Column& column : table.columns) cells[0].push_back(column.label);
  for (const std::vector<double>& row : table.rows) {
    std::vector<std::string>& line = cells.emplace_back();
    if (!table.labels.empty()) line.push_back(table.labels[cells.size() - 2]);
    for (size_t i = 0; i < row.size(); ++i) {
      line.push_back(FormatUnit(row[i], table.columns[i].unit));
    }
  }
  std::string text = fmt::format("\n{}\n", table.name);
  for (const auto& line : cells) {
    text += " ";
    for (size_t i = 0; i < line.size(); ++i) {
      size_t width = 0;
      for (const auto& other : cells) width = std::max(width, other[i].size());
      text += fmt::format(" {:>{}} ", line[i], width);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    text += "\n";
  }
  if (!table.note.empty()) text += "  " + table.note + "\n";
  return text;
}

std::string TornadoText(const ReportTornado& tornado) {
  std::string text = fmt::format("\nwhat drives {} ({}), one input at a time\n", tornado.label,
                                 FormatUnit(tornado.likely, tornado.unit));
  size_t width = 0;
  double widest = 0;
  const auto size = [](const ReportTornado::Bar& bar) {
    const double swing = std::abs(bar.at_high - bar.at_low);
    return std::isfinite(swing) ? swing : 0;
  };
  for (const ReportTornado::Bar& bar : tornado.bars) {
    width = std::max(width, bar.input.size());
    widest = std::max(widest, size(bar));
  }
  for (const ReportTornado::Bar& bar : tornado.bars) {
    const double share = widest > 0 ? size(bar) / widest : 1;
    text += fmt::format("  {:<{}}  {:<20}  {} at {:g}, {} at {:g}\n", bar.input, width,
                        std::string(static_cast<size_t>(1 + 19 * share), '#'),
                        FormatUnit(bar.at_low, tornado.unit), bar.input_low,
                        FormatUnit(bar.at_high, tornado.unit), bar.input_high);
  }
  return text;
}

// JSON and CSV know no NaN.
ordered_json NumberOrNull(double value) {
  return std::isfinite(value) ? ordered_json(value) : ordered_json(nullptr);
}
std::string CsvNumber(double value) {
  return std::isfinite(value) ? fmt::format("{}", value) : std::string();
}

}  // namespace

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
      std::string note = IntervalText(row);
      if (!note.empty() && !row.note.empty()) note += "; ";
      note += row.note;
      std::string line = row.unit == "text"
                             ? fmt::format("  {:<{}}  {}", row.label, label_width, row.shown)
                             : fmt::format("  {:<{}}  {:>{}}  {:<10}  {}", row.label, label_width,
                                           row.shown, shown_width, Name(row.origin), note);
      line.erase(line.find_last_not_of(' ') + 1);
      text += line + "\n";
    }
  }
  for (const ReportTable& table : tables) text += TableText(table);
  for (const ReportTornado& tornado : tornados) text += TornadoText(tornado);
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
    if (!table.labels.empty()) json["tables"].back()["labels"] = table.labels;
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
        text += fmt::format("{},{},{},{},prediction,,,\r\n", CsvField(table.name),
                            CsvField(fmt::format(
                                "{}.{}", table.labels.empty() ? std::to_string(r) : table.labels[r],
                                table.columns[c].key)),
                            CsvNumber(table.rows[r][c]), CsvField(table.columns[c].unit));
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

std::string Cite(const SourcedValue& value) {
  return fmt::format("{}, {}", value.source, value.date);
}

std::string Against(std::string_view published, double error) {
  return fmt::format("published {}, error {:+.1f} %", published, 100 * error);
}

}  // namespace fathom
