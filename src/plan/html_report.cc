#include "plan/html_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "base/html.h"
#include "plan/html_chart.h"

namespace fathom {
namespace {

// A line ends between the two numbers of a range, and not before their unit.
std::string RangeHtml(const ReportRow& row) {
  std::string html;
  for (const char c : EscapeHtml(FormatRange(*row.interval, row.unit))) {
    html += c == ' ' ? std::string("&#160;") : std::string(1, c);
  }
  constexpr std::string_view kTo = "&#160;to&#160;";
  return html.replace(html.find(kTo), kTo.size(), "&#160;to ");
}

// The rows just above `total` that add up to it; empty when there are none.
std::span<const ReportRow> PartsOf(std::span<const ReportRow> rows, size_t total) {
  const ReportRow& whole = rows[total];
  if (whole.unit == "text" || !(whole.value > 0)) return {};
  // Counts that were given may add up to another by chance.
  if (whole.origin == Origin::kInput && whole.key != "total") return {};
  double sum = 0;
  for (size_t first = total; first-- > 0;) {
    const ReportRow& part = rows[first];
    if (part.unit != whole.unit || part.value < 0) break;
    sum += part.value;
    if (sum > whole.value * (1 + 1e-6)) break;
    const size_t count = total - first;
    // A row of zeros above would still add up: the shortest run that does is taken.
    if (count >= 2 && sum > whole.value * (1 - 1e-6)) return rows.subspan(first, count);
  }
  return {};
}

std::string Row(const ReportRow& row, bool has_intervals, bool is_total) {
  std::string html = fmt::format("<tr{}><th scope=\"row\">{}</th>",
                                 is_total ? " class=\"total\"" : "", EscapeHtml(row.label));
  if (row.unit == "text") {
    return html + fmt::format("<td class=\"text\" colspan=\"{}\">{}</td></tr>\n",
                              has_intervals ? 4 : 3, EscapeHtml(row.shown));
  }
  html += fmt::format("<td class=\"number\">{}</td>", EscapeHtml(row.shown));
  if (has_intervals) {
    html += fmt::format(
        "<td class=\"range-cell\">{}</td>",
        row.interval ? IntervalSvg(*row.interval, row.value) + RangeHtml(row) : std::string());
  }
  const bool checked = row.note.starts_with("published ");
  return html + fmt::format(
                    "<td><span class=\"origin {0}\">{0}</span></td>"
                    "<td class=\"note\">{1}{2}{3}</td></tr>\n",
                    Name(row.origin), checked ? "<span class=\"checked\">" : "",
                    EscapeHtml(row.note), checked ? "</span>" : "");
}

// Of a section's rows, but the headlines', whose charts come first.
std::string Drivers(const Report& report, const ReportSection& section) {
  std::string charts;
  for (const ReportTornado& tornado : report.tornados) {
    if (tornado.headline || tornado.section != section.name) continue;
    charts += fmt::format("<figure><figcaption>{}</figcaption>{}</figure>\n",
                          EscapeHtml(tornado.label), TornadoSvg(tornado));
  }
  if (charts.empty()) return "";
  return "<details class=\"drivers\"><summary>What drives these numbers</summary>" + charts +
         "</details>\n";
}

std::string Section(const Report& report, const ReportSection& section, size_t index) {
  std::string html = fmt::format("<section class=\"card\" id=\"s{}\"><h2>{}</h2>\n", index,
                                 EscapeHtml(section.name));
  const bool has_intervals =
      std::any_of(section.rows.begin(), section.rows.end(),
                  [](const ReportRow& row) { return row.interval.has_value(); });
  std::string rows;
  for (size_t i = 0; i < section.rows.size(); ++i) {
    const std::span<const ReportRow> parts = PartsOf(section.rows, i);
    if (!parts.empty()) {
      html += fmt::format("<figure><figcaption>{}: {}</figcaption>{}</figure>\n",
                          EscapeHtml(section.rows[i].label), EscapeHtml(section.rows[i].shown),
                          BreakdownSvg(parts, section.rows[i]));
    }
    rows += Row(section.rows[i], has_intervals, !parts.empty());
  }
  return html +
         fmt::format(
             "<div class=\"scroll\"><table class=\"rows\"><thead><tr><th scope=\"col\">What</th>"
             "<th scope=\"col\" class=\"number\">Value</th>{}<th scope=\"col\" "
             "class=\"origin-cell\">Origin</th>"
             "<th scope=\"col\">Source, formula or published value</th></tr></thead>"
             "<tbody>\n{}</tbody></table></div>\n{}</section>\n",
             has_intervals ? "<th scope=\"col\" class=\"range-cell\">90 % of samples</th>" : "",
             rows, Drivers(report, section));
}

std::string Numbers(const ReportTable& table) {
  const bool named = !table.labels.empty(), sourced = !table.sources.empty();
  std::string html = "<div class=\"scroll\"><table><thead><tr>";
  if (named) html += "<th scope=\"col\"></th>";
  for (const ReportTable::Column& column : table.columns) {
    html += fmt::format("<th scope=\"col\" class=\"number\">{}</th>", EscapeHtml(column.label));
  }
  if (sourced) html += "<th scope=\"col\">Source</th>";
  html += "</tr></thead><tbody>\n";
  for (size_t r = 0; r < table.rows.size(); ++r) {
    html += "<tr>";
    if (named) html += fmt::format("<th scope=\"row\">{}</th>", EscapeHtml(table.labels[r]));
    for (size_t i = 0; i < table.rows[r].size(); ++i) {
      html += fmt::format("<td class=\"number\">{}</td>",
                          EscapeHtml(FormatCell(table.rows[r][i], table.columns[i].unit)));
    }
    if (sourced) html += fmt::format("<td class=\"note\">{}</td>", EscapeHtml(table.sources[r]));
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>";
}

std::string Table(const ReportTable& table, size_t index) {
  const std::string numbers = Numbers(table);
  std::string html = fmt::format("<section class=\"card\" id=\"t{}\"><h2>{}</h2>\n", index,
                                 EscapeHtml(table.name));
  const std::string note =
      table.note.empty() ? "" : fmt::format("<p class=\"hint\">{}</p>\n", EscapeHtml(table.note));
  // Rows with names are not points of a curve.
  if (table.labels.empty() && table.rows.size() > 1 && table.columns.size() > 1) {
    html += note + fmt::format(
                       "<figure>{}</figure>\n<details><summary>The numbers</summary>{}"
                       "</details>",
                       LinesSvg(table), numbers);
  } else {
    html += note + numbers;
  }
  return html + "</section>\n";
}

std::string Tornado(const ReportTornado& tornado, size_t index) {
  return fmt::format(
      "<section class=\"card\" id=\"d{}\"><h2>What drives {}</h2>\n<figure><figcaption>One input "
      "at "
      "a time over its range, the others at their likely values: <span class=\"key-low\">at its "
      "low end</span> <span class=\"key-high\">at its high end</span></figcaption>{}</figure>"
      "</section>\n",
      index, EscapeHtml(tornado.label), TornadoSvg(tornado));
}

std::string Answers(const Report& report) {
  std::string items;
  for (const Headline& answer : report.answers) {
    const ReportRow* row = report.Find(answer.section, answer.key);
    if (row == nullptr) continue;
    items += fmt::format("<li><span class=\"what\">{}</span><strong>{}</strong>",
                         EscapeHtml(row->label), EscapeHtml(row->shown));
    if (row->interval) {
      items += fmt::format("<span class=\"range-text\">{}90 %: {}</span>",
                           IntervalSvg(*row->interval, row->value), RangeHtml(*row));
    }
    items += "</li>\n";
  }
  return items.empty() ? "" : "<ul class=\"headlines\">\n" + items + "</ul>\n";
}

std::string Navigation(const Report& report) {
  std::string items;
  const auto add = [&](char kind, size_t index, const std::string& name) {
    items += fmt::format("<li><a href=\"#{}{}\">{}</a></li>\n", kind, index, EscapeHtml(name));
  };
  for (size_t i = 0; i < report.tornados.size() && report.tornados[i].headline; ++i) {
    add('d', i, "What drives " + report.tornados[i].label);
  }
  for (size_t i = 0; i < report.sections.size(); ++i) add('s', i, report.sections[i].name);
  for (size_t i = 0; i < report.tables.size(); ++i) add('t', i, report.tables[i].name);
  return "<nav aria-label=\"Sections\"><ul>\n" + items + "</ul></nav>\n";
}

}  // namespace

std::string CommandLine(const PlanOptions& options) {
  std::string line = "fathom plan " + options.command().name;
  for (const PlanOption& option : options.command().options) {
    if (!options.Given(option.name)) continue;
    const std::string text = *options.OptionalText(option.name);
    if (option.kind == PlanOption::Kind::kFlag) {
      if (text == "true") line += " --" + option.name;
      continue;
    }
    if (!option.positional) line += " --" + option.name;
    const bool plain = text.find_first_not_of(
                           "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                           "0123456789._/:,+-") == std::string::npos;
    line += plain && !text.empty() ? " " + text : " '" + text + "'";
  }
  return line;
}

std::string ReportHtml(const Report& report, std::string_view made_with) {
  std::string html = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
      "'unsafe-inline'\"/>\n<title>{0}</title>\n<style>\n{1}</style></head>\n<body><div "
      "class=\"report\">\n<header><p class=\"brand\">Fathom plan</p><h1>{0}</h1>\n",
      EscapeHtml(report.title), ReportStyle());
  if (!made_with.empty()) {
    html += fmt::format("<p class=\"made\">Made with <code>{}</code></p>\n", EscapeHtml(made_with));
  }
  html += "</header>\n<div class=\"columns\">" + Navigation(report) + "<main>\n";
  html += Answers(report);
  html +=
      "<ul class=\"legend\"><li><span class=\"origin input\">input</span> given, with its source"
      "</li><li><span class=\"origin prediction\">prediction</span> what a model makes of inputs"
      "</li><li><span class=\"origin identity\">identity</span> arithmetic over published numbers"
      "</li></ul>\n";
  for (size_t i = 0; i < report.tornados.size() && report.tornados[i].headline; ++i) {
    html += Tornado(report.tornados[i], i);
  }
  for (size_t i = 0; i < report.sections.size(); ++i)
    html += Section(report, report.sections[i], i);
  for (size_t i = 0; i < report.tables.size(); ++i) html += Table(report.tables[i], i);
  return html +
         "<footer>An interval is what 90 % of samples over the ranges of the inputs lie between. A "
         "range says how much sources or assumptions differ; it does not cover what a model leaves "
         "out. Formulas, sources and errors against published numbers: docs/economics.md."
         "</footer>\n</main></div></div></body></html>\n";
}

}  // namespace fathom
