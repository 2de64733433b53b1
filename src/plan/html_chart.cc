#include "plan/html_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/html.h"
#include "plan/html_axis.h"

namespace fathom {
namespace {

constexpr double kWidth = 760;
constexpr size_t kColours = 8;  // of the style's --c0 ... --c7
constexpr size_t kMostBars = 12;

std::string Text(double x, double y, std::string_view anchor, std::string_view kind,
                 std::string_view text) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" class=\"{}\">{}</text>", x,
                     y, anchor, kind, EscapeHtml(text));
}

std::string Line(double x1, double y1, double x2, double y2, std::string_view kind) {
  return fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" class=\"{}\"/>",
                     x1, y1, x2, y2, kind);
}

std::string Open(double height, std::string_view title) {
  return fmt::format(
      "<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" xmlns=\"http://www.w3.org/2000/svg\">"
      "<title>{}</title>",
      kWidth, height, EscapeHtml(title));
}

// A label that fits beside a chart.
std::string Shortened(const std::string& text, size_t most) {
  if (text.size() <= most) return text;
  size_t end = most - 1;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "…";
}

// One bar of a tornado, from the likely value to what one end of the input makes of it.
std::string HalfBar(const ChartAxis& axis, const ReportTornado& tornado,
                    const ReportTornado::Bar& bar, bool high, double y) {
  const double value = high ? bar.at_high : bar.at_low;
  const double input = high ? bar.input_high : bar.input_low;
  const char* kind = high ? "bar-high" : "bar-low";
  if (!std::isfinite(value)) return "";
  const double x = axis.At(value), likely = axis.At(tornado.likely);
  const bool leftwards = x < likely;
  std::string svg = fmt::format(
      "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"16\" rx=\"2\" class=\"{}\">"
      "<title>{}</title></rect>",
      std::min(x, likely), y, std::max(std::abs(x - likely), 0.5), kind,
      EscapeHtml(fmt::format("{} at {}: {}", bar.input, InputText(input),
                             FormatUnit(value, tornado.unit))));
  // The end of the smaller half would stand in the larger one when both go the same way.
  const double other = high ? bar.at_low : bar.at_high;
  const bool same_way =
      std::isfinite(other) && (other < tornado.likely) == (value < tornado.likely);
  if (same_way && std::abs(other - tornado.likely) > std::abs(value - tornado.likely)) return svg;
  return svg + Text(leftwards ? x - 5 : x + 5, y + 12.5, leftwards ? "end" : "start", "value",
                    ShortNumber(value, tornado.unit));
}

}  // namespace

std::string TornadoSvg(const ReportTornado& tornado) {
  constexpr double kLeft = 250, kRow = 34, kTop = 34;
  const size_t shown = std::min(tornado.bars.size(), kMostBars);
  std::vector<double> values = {tornado.likely};
  for (size_t i = 0; i < shown; ++i) {
    values.push_back(tornado.bars[i].at_low);
    values.push_back(tornado.bars[i].at_high);
  }
  // As wide as the longest number beside a bar.
  size_t longest = 0;
  for (const double value : values) {
    if (std::isfinite(value)) longest = std::max(longest, ShortNumber(value, tornado.unit).size());
  }
  const double label = 14 + 7.4 * static_cast<double>(longest);
  const ChartAxis axis(values, kLeft + label, kWidth - label, /*with_zero=*/false,
                       /*may_be_logarithmic=*/true);
  const double bottom = kTop + kRow * static_cast<double>(shown);
  std::string svg = Open(bottom + 28, fmt::format("What drives {}", tornado.label));
  for (const double tick : axis.Ticks(5)) {
    svg += Line(axis.At(tick), kTop - 4, axis.At(tick), bottom, "grid");
    svg += Text(axis.At(tick), bottom + 16, "middle", "tick", ShortNumber(tick, tornado.unit));
  }
  for (size_t i = 0; i < shown; ++i) {
    const ReportTornado::Bar& bar = tornado.bars[i];
    const double y = kTop + kRow * static_cast<double>(i);
    svg += Text(kLeft - 12, y + 14, "end", "label", Shortened(bar.input, 40));
    svg += Text(
        kLeft - 12, y + 27, "end", "tick",
        fmt::format("{} to {}", ShortNumber(bar.input_low, "1"), ShortNumber(bar.input_high, "1")));
    // The longer half first, so that the shorter one is seen when both go the same way.
    const bool high_first =
        std::abs(bar.at_high - tornado.likely) > std::abs(bar.at_low - tornado.likely);
    svg += HalfBar(axis, tornado, bar, high_first, y + 5);
    svg += HalfBar(axis, tornado, bar, !high_first, y + 5);
    if (!std::isfinite(bar.at_low) || !std::isfinite(bar.at_high)) {
      const bool high = !std::isfinite(bar.at_high);
      svg += Text(axis.At(tornado.likely) + (high ? 5 : -5), y + 31, high ? "start" : "end", "tick",
                  fmt::format("at {} the plan does not work",
                              InputText(high ? bar.input_high : bar.input_low)));
    }
  }
  const double likely = axis.At(tornado.likely);
  svg += Line(likely, kTop - 8, likely, bottom, "likely");
  svg += Text(likely, kTop - 14, "middle", "value",
              fmt::format("likely {}", FormatUnit(tornado.likely, tornado.unit)));
  return svg + "</svg>";
}

std::string BreakdownSvg(std::span<const ReportRow> parts, const ReportRow& total) {
  constexpr double kBar = 30, kTop = 6, kLine = 22;
  double sum = 0;
  for (const ReportRow& part : parts) sum += std::max(part.value, 0.0);
  const size_t lines = (parts.size() + 1) / 2;
  std::string svg = Open(kTop + kBar + 12 + static_cast<double>(lines) * kLine,
                         fmt::format("{} by part", total.label));
  double x = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const double share = sum > 0 ? std::max(parts[i].value, 0.0) / sum : 0;
    const double width = share * kWidth;
    svg += fmt::format(
        "<rect x=\"{:.1f}\" y=\"{:.0f}\" width=\"{:.1f}\" height=\"{:.0f}\" class=\"part c{}\">"
        "<title>{}</title></rect>",
        x, kTop, std::max(width - 1.5, 0.0), kBar, i % kColours,
        EscapeHtml(fmt::format("{}: {} ({:.1f} %)", parts[i].label, parts[i].shown, 100 * share)));
    if (width > 60) {
      svg +=
          Text(x + width / 2, kTop + 20, "middle", "inside", fmt::format("{:.0f} %", 100 * share));
    }
    x += width;
    const double at_x = i % 2 == 0 ? 0 : kWidth / 2;
    const size_t line = i / 2;
    const double at_y = kTop + kBar + 24 + kLine * static_cast<double>(line);
    svg += fmt::format(
        "<rect x=\"{:.0f}\" y=\"{:.0f}\" width=\"11\" height=\"11\" rx=\"2\" class=\"part c{}\"/>",
        at_x, at_y - 10, i % kColours);
    const std::string value = fmt::format("{} · {:.1f} %", parts[i].shown, 100 * share);
    // A letter of a label takes some 7 pixels, of a value some 7.5.
    const double room = (kWidth / 2 - 50 - 7.5 * static_cast<double>(value.size())) / 7;
    svg += Text(at_x + 18, at_y, "start", "label",
                Shortened(parts[i].label, static_cast<size_t>(std::max(room, 8.0))));
    svg += Text(at_x + kWidth / 2 - 26, at_y, "end", "value", value);
  }
  return svg + "</svg>";
}

std::string IntervalSvg(const Interval& interval, double likely) {
  const double values[] = {interval.low, interval.high, likely};
  const ChartAxis axis(values, 5, 115, /*with_zero=*/false, /*may_be_logarithmic=*/false);
  const double low = axis.At(interval.low), high = axis.At(interval.high);
  return fmt::format(
      "<svg viewBox=\"0 0 120 14\" class=\"interval\" aria-hidden=\"true\">"
      "<line x1=\"0\" y1=\"7\" x2=\"120\" y2=\"7\" class=\"grid\"/>"
      "<rect x=\"{:.1f}\" y=\"4\" width=\"{:.1f}\" height=\"6\" rx=\"3\" class=\"range\"/>"
      "<circle cx=\"{:.1f}\" cy=\"7\" r=\"4\" class=\"dot\"/></svg>",
      low, high - low, axis.At(likely));
}

namespace {

// The columns of one unit.
std::string LineChart(const ReportTable& table, const std::vector<size_t>& columns) {
  constexpr double kLeft = 74, kRight = 18, kPlot = 220, kLegendLine = 20;
  const ReportTable::Column& first = table.columns[0];
  std::vector<double> xs, ys;
  for (const std::vector<double>& row : table.rows) {
    xs.push_back(row[0]);
    for (const size_t column : columns) ys.push_back(row[column]);
  }
  const std::string& unit = table.columns[columns[0]].unit;
  const size_t legend_lines = (columns.size() + 2) / 3;
  const double top = 14 + kLegendLine * static_cast<double>(legend_lines);
  const double bottom = top + kPlot;
  const ChartAxis x(xs, kLeft, kWidth - kRight, /*with_zero=*/false, /*may_be_logarithmic=*/true);
  const ChartAxis y(ys, bottom, top, /*with_zero=*/true, /*may_be_logarithmic=*/true);
  std::string svg = Open(bottom + 44, fmt::format("{} over {}", table.name, first.label));
  for (const double tick : y.Ticks(5)) {
    svg += Line(kLeft, y.At(tick), kWidth - kRight, y.At(tick), "grid");
    svg += Text(kLeft - 8, y.At(tick) + 4, "end", "tick", ShortNumber(tick, unit));
  }
  for (const double tick : x.Ticks(7)) {
    svg += Line(x.At(tick), bottom, x.At(tick), bottom + 4, "axis");
    // A year is not 2.02k.
    const bool plain = tick == std::floor(tick) && std::abs(tick) < 10000;
    svg +=
        Text(x.At(tick), bottom + 18, "middle", "tick",
             plain && (first.unit == "1" || first.unit == "year") ? fmt::format("{:.0f}", tick)
                                                                  : ShortNumber(tick, first.unit));
  }
  svg += Line(kLeft, bottom, kWidth - kRight, bottom, "axis");
  svg += Text((kLeft + kWidth - kRight) / 2, bottom + 38, "middle", "label",
              first.label + (x.logarithmic() ? " (logarithmic)" : ""));
  for (size_t i = 0; i < columns.size(); ++i) {
    const ReportTable::Column& column = table.columns[columns[i]];
    const double at_x = kLeft + static_cast<double>(i % 3) * 225;
    const size_t legend_line = i / 3;
    const double at_y = 10 + kLegendLine * static_cast<double>(legend_line);
    svg += Line(at_x, at_y - 4, at_x + 16, at_y - 4, fmt::format("line s{}", i % kColours));
    svg += Text(at_x + 22, at_y, "start", "label", Shortened(column.label, 32));
    std::string path, dots;
    bool pen_down = false;
    for (const std::vector<double>& row : table.rows) {
      const double value = row[columns[i]];
      if (!std::isfinite(value) || !std::isfinite(row[0])) {
        pen_down = false;
        continue;
      }
      path += fmt::format("{}{:.1f} {:.1f}", pen_down ? "L" : "M", x.At(row[0]), y.At(value));
      pen_down = true;
      dots += fmt::format(
          "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" class=\"c{}\"><title>{}</title></circle>",
          x.At(row[0]), y.At(value), i % kColours,
          EscapeHtml(fmt::format("{}: {} at {}", column.label, FormatUnit(value, unit),
                                 FormatUnit(row[0], first.unit))));
    }
    svg += fmt::format("<path d=\"{}\" class=\"line s{}\"/>{}", path, i % kColours, dots);
  }
  return svg + "</svg>";
}

}  // namespace

std::string LinesSvg(const ReportTable& table) {
  std::vector<std::vector<size_t>> groups;
  for (size_t column = 1; column < table.columns.size(); ++column) {
    const auto alike = [&](const std::vector<size_t>& group) {
      return table.columns[group[0]].unit == table.columns[column].unit;
    };
    const auto group = std::find_if(groups.begin(), groups.end(), alike);
    if (group == groups.end()) {
      groups.push_back({column});
    } else {
      group->push_back(column);
    }
  }
  std::string charts;
  for (const std::vector<size_t>& group : groups) charts += LineChart(table, group);
  return charts;
}

}  // namespace fathom
