#pragma once

#include <span>
#include <string>
#include <string_view>

#include "plan/report.h"

namespace fathom {

// Charts as inline SVG, without scripts. Colours come from the classes and variables of the page's
// style (html_report.cc), so that they follow light, dark and paper. Every mark has its numbers in
// a <title> or beside it.

// What moves an output, widest first.
std::string TornadoSvg(const ReportTornado& tornado);
// Rows that add up to `total`, as one bar with a legend of shares.
std::string BreakdownSvg(std::span<const ReportRow> parts, const ReportRow& total);
// The columns of a table over its first column: one chart a unit. Axes are logarithmic where the
// numbers span more than two decades. Gaps where there is no number.
std::string LinesSvg(const ReportTable& table);
// An interval with its likely value, as large as a line of text.
std::string IntervalSvg(const Interval& interval, double likely);

}  // namespace fathom
