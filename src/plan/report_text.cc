// Reports for a terminal.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/nearest.h"
#include "plan/report.h"

namespace fathom {
namespace {

size_t LongestWord(std::string_view text) {
  size_t longest = 0;
  while (!text.empty()) {
    const size_t length = std::min(text.find(' '), text.size());
    longest = std::max(longest, length);
    text.remove_prefix(std::min(length + 1, text.size()));
  }
  return longest;
}

// Puts `text` behind `line`, which is `indent` wide, in as many lines of at most `width` as it
// takes (0: one); where too little would be left of them for it, below it. Ends the line.
void AppendWrapped(std::string line, size_t indent, std::string_view text, size_t width,
                   std::string& out) {
  constexpr size_t kLeast = 28, kBelow = 6;
  const auto end_line = [&] {
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  };
  if (width > 0 && !text.empty() && indent + text.size() > width &&
      indent + std::max(kLeast, LongestWord(text)) > width) {
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
  return row.interval ? "90 %: " + FormatRange(*row.interval, row.unit) : "";
}

// The answers as lines of their own, so that they need not be looked for.
std::string AnswersText(const Report& report, size_t terminal) {
  size_t label = 0, shown = 0;
  const auto for_each = [&](const auto& take) {
    for (const Headline& answer : report.answers) {
      const ReportRow* row = report.Find(answer.section, answer.key);
      if (row != nullptr) take(*row);
    }
  };
  for_each([&](const ReportRow& row) {
    label = std::max(label, row.label.size());
    shown = std::max(shown, row.shown.size());
  });
  std::string text = label > 0 ? "\nin short\n" : "";
  for_each([&](const ReportRow& row) {
    const std::string line = fmt::format("  {:<{}}  {:>{}}  ", row.label, label, row.shown, shown);
    AppendWrapped(line, line.size(), IntervalText(row), terminal, text);
  });
  return text;
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

// Columns: input, bar, the output at both ends of the input's range.
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
    input = std::max({input, InputText(bar.input_low).size(), InputText(bar.input_high).size()});
    widest = std::max(widest, size(bar));
  }
  constexpr size_t kLongest = 20, kShortest = 10, kBelow = 4;
  size_t rest = 2 * value + 2 * input + 16;
  // Where little would be left of the bars, they stand below their names.
  const bool below = terminal > 0 && name + rest + kShortest > terminal;
  rest += below ? kBelow : name;
  const size_t bar_width =
      terminal == 0 ? kLongest
                    : std::clamp(terminal - std::min(terminal, rest), size_t{4}, kLongest);
  for (const ReportTornado::Bar& bar : tornado.bars) {
    const double share = widest > 0 ? size(bar) / widest : 1;
    const auto length = static_cast<size_t>(1 + static_cast<double>(bar_width - 1) * share);
    text += below ? fmt::format("  {}\n{:{}}", bar.input, "", kBelow + 2)
                  : fmt::format("  {:<{}}  ", bar.input, name);
    text += fmt::format("{:<{}}  {:>{}} at {:<{}}  {:>{}} at {}\n", std::string(length, '#'),
                        bar_width, output(bar.at_low), value, InputText(bar.input_low), input,
                        output(bar.at_high), value, InputText(bar.input_high));
  }
  return text;
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
  std::string text = title + "\n" + AnswersText(*this, width);
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

}  // namespace fathom
