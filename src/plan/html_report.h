#pragma once

#include <string>
#include <string_view>

#include "plan/options.h"
#include "plan/report.h"

namespace fathom {

// A report as one HTML file that needs no network and no script: headline numbers with their
// intervals, every row with its origin and source, what drives the headlines, sweeps as lines;
// light, dark and on paper. made_with: the command line that makes it again;
// may be empty.
std::string ReportHtml(const Report& report, std::string_view made_with);

// "fathom plan serve v3 --on h20": what makes the same report in a terminal.
std::string CommandLine(const PlanOptions& options);
// The style sheet of reports, which the planner page shares.
std::string_view ReportStyle();

}  // namespace fathom
