#include "plan/report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/nearest.h"
#include "base/toml/toml_reader.h"

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

namespace {

// Puts `text` behind `line`, which is `indent` wide, in as many lines of at most `width` as it
// takes (0: one); where too little would be left of them, below it. Ends the line.
void AppendWrapped(std::string line, size_t indent, std::string_view text, size_t width,
                   std::string& out) {
  constexpr size_t kLeast = 28, kBelow = 6;
  const auto end_line = [&] {
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  };
  if (width > 0 && !text.empty() && indent + text.size() > width && indent + kLeast > width) {
    end_line();
    indent = kBelow;
    line.assign(indent, ' ');
  }
  while (width > 0 && indent + text.size() > width) {
    const size_t room = width > indent ? width - indent : 1;
    size_t cut = text.rfind(' ', room);
    if (cut == std::string_view::npos || cut == 0) cut = text.find(' ');
    if (cut == std::string_view::npos) break;
    line += text.substr(0, cut);
    text.remove_prefix(cut + 1);
    end_line();
    line.assign(indent, ' ');
  }
  line += text;
  end_line();
}

std::string IntervalText(const ReportRow& row) {
  if (!row.interval) return "";
  return fmt::format("90 %: {} to {}", FormatUnit(row.interval->low, row.unit),
                     FormatUnit(row.interval->high, row.unit));
}

std::string TableText(const ReportTable& table, size_t terminal) {
  const bool named = !table.labels.empty();
  std::vector<std::vector<std::string>> cells(1);
  if (named) cells[0].emplace_back();
  for (const ReportTable::Column& column : table.columns) cells[0].push_back(column.label);
  for (size_t r = 0; r < table.rows.size(); ++r) {
    std::vector<std::string>& line = cells.emplace_back();
    if (named) line.push_back(table.labels[r]);
    for (size_t i = 0; i < table.rows[r].size(); ++i) {
      line.push_back(FormatCell(table.rows[r][i], table.columns[i].unit));
    }
  }
  std::string text = fmt::format("\n{}\n", table.name);
  for (size_t r = 0; r < cells.size(); ++r) {
    std::string line = " ";
    for (size_t i = 0; i < cells[r].size(); ++i) {
      size_t width = 0;
      for (const auto& other : cells) width = std::max(width, other[i].size());
      line += i == 0 && named ? fmt::format(" {:<{}} ", cells[r][i], width)
                              : fmt::format(" {:>{}} ", cells[r][i], width);
    }
    const bool sourced = r > 0 && !table.sources.empty();
    line += sourced ? " " : "";
    AppendWrapped(line, line.size(), sourced ? table.sources[r - 1] : "", terminal, text);
  }
  if (!table.note.empty()) AppendWrapped("  ", 2, table.note, terminal, text);
  return text;
}

// Columns: input, bar, the output at both ends of the input's range. What does not fit into the
// terminal shortens the bar first.
std::string TornadoText(const ReportTornado& tornado, size_t terminal) {
  std::string text = fmt::format("\nwhat drives {} ({}), one input at a time\n", tornado.label,
                                 FormatUnit(tornado.likely, tornado.unit));
  double widest = 0;
  const auto size = [](const ReportTornado::Bar& bar) {
    const double swing = std::abs(bar.at_high - bar.at_low);
    return std::isfinite(swing) ? swing : 0;
  };
  size_t name = 0, value = 0, input = 0;
  const auto output = [&](double at) { return FormatUnit(at, tornado.unit); };
  for (const ReportTornado::Bar& bar : tornado.bars) {
    name = std::max(name, bar.input.size());
    value = std::max({value, output(bar.at_low).size(), output(bar.at_high).size()});
    input =
        std::max({input, FormatInput(bar.input_low).size(), FormatInput(bar.input_high).size()});
    widest = std::max(widest, size(bar));
  }
  const size_t rest = name + 2 * value + 2 * input + 16;
  const size_t bar_width =
      terminal == 0 ? 20 : std::clamp<size_t>(terminal - std::min(terminal, rest), 4, 20);
  for (const ReportTornado::Bar& bar : tornado.bars) {
    const double share = widest > 0 ? size(bar) / widest : 1;
    const auto length = static_cast<size_t>(1 + static_cast<double>(bar_width - 1) * share);
    text += fmt::format("  {:<{}}  {:<{}}  {:>{}} at {:<{}}  {:>{}} at {}\n", bar.input, name,
                        std::string(length, '#'), bar_width, output(bar.at_low), value,
                        FormatInput(bar.input_low), input, output(bar.at_high), value,
                        FormatInput(bar.input_high));
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

std::string Report::ToTable(size_t width, std::string_view drivers) const {
  const auto is_asked_for = [&](const ReportTornado& tornado) {
    return tornado.headline || drivers == "all" || tornado.key == drivers;
  };
  if (!drivers.empty() && drivers != "all") {
    std::set<std::string, std::less<>> keys;
    for (const ReportTornado& tornado : tornados) keys.insert(tornado.key);
    if (!keys.contains(drivers)) {
      throw UsageError(
          "drivers", fmt::format("no prediction that has any is named '{}'", drivers),
          NearestHint(drivers, keys, fmt::format("there are {}", fmt::join(keys, ", "))));
    }
  }
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
      if (row.unit == "text") {
        AppendWrapped(fmt::format("  {:<{}}  ", row.label, label_width), label_width + 4, row.shown,
                      width, text);
        continue;
      }
      const std::string line = fmt::format("  {:<{}}  {:>{}}  {:<10}  ", row.label, label_width,
                                           row.shown, shown_width, Name(row.origin));
      AppendWrapped(line, line.size(), note, width, text);
    }
  }
  for (const ReportTable& table : tables) text += TableText(table, width);
  for (const ReportTornado& tornado : tornados) {
    if (is_asked_for(tornado)) text += TornadoText(tornado, width);
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

std::string FormatInput(double value) {
  return std::abs(value) >= 1e4 ? FormatCount(value) : fmt::format("{:g}", value);
}

std::string Cite(const SourcedValue& value) {
  return fmt::format("{}, {}", value.source, value.date);
}

}  // namespace fathom
