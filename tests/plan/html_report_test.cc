#include "plan/html_report.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "plan/html_chart.h"

namespace fathom {
namespace {

bool Has(const std::string& html, const std::string& text) {
  return html.find(text) != std::string::npos;
}

// Whether every element of an XML document is closed in its order.
bool IsBalanced(const std::string& html) {
  std::vector<std::string> open;
  for (size_t at = html.find("<html"); (at = html.find('<', at)) != std::string::npos; ++at) {
    const size_t end = html.find('>', at);
    if (end == std::string::npos) return false;
    const std::string tag = html.substr(at + 1, end - at - 1);
    if (tag.back() == '/') continue;
    if (tag[0] != '/') {
      open.push_back(tag.substr(0, tag.find_first_of(" \n")));
    } else if (open.empty() || open.back() != tag.substr(1)) {
      return false;
    } else {
      open.pop_back();
    }
  }
  return open.empty();
}

Report Example() {
  Report report{.command = "serve", .title = "Serving <b>\"me\"</b> & co"};
  ReportSection& section = report.sections.emplace_back(ReportSection{"a day", {}});
  section.Add("power", "electricity", Dollars(1), Origin::kInput, "a source, 2025");
  section.Add("capital", "capital", Dollars(3), Origin::kPrediction);
  section.Add("total", "all of it", Dollars(4), Origin::kPrediction, "published $5, error -20.0 %");
  section.rows.back().interval = Interval{3, 6};
  report.tornados.push_back(
      {"a day", "total", "all of it", "USD", 4, {{"interest", 0.05, 0.2, 3, 6}}, true});
  const double none = std::numeric_limits<double>::quiet_NaN();
  report.tables.push_back({"over speed",
                           {{"speed", "speed", "tokens/s"}, {"cost", "cost", "USD"}},
                           {{10, 1}, {20, 2}, {30, none}, {40, 4}},
                           ""});
  return report;
}

TEST(HtmlReport, IsOneWellFormedFileWithEveryNumber) {
  const std::string html = ReportHtml(Example(), "fathom plan serve");
  EXPECT_TRUE(IsBalanced(html));
  for (const char* text :
       {"Serving &lt;b&gt;&quot;me&quot;&lt;/b&gt; &amp; co", "fathom plan serve", "$1.00", "$4.00",
        "$3.00&#160;to $6.00", "a source, 2025", "published $5, error -20.0 %", "origin input",
        "origin prediction", "interest at 0.05: $3.00", "interest at 0.2: $6.00"}) {
    EXPECT_TRUE(Has(html, text)) << text;
  }
  for (const char* text : {"<script", "src=", "url(", "@import", "<b>", "nan"}) {
    EXPECT_FALSE(Has(html, text)) << text;
  }
}

// A headline's drivers are a chart of their own, another row's are below its section. Rows that
// have names are a table, not points of a curve.
TEST(HtmlReport, ShowsDriversOfEveryRowAndNamedRows) {
  Report report = Example();
  report.tornados.push_back({"a day", "capital", "capital", "USD", 3, {{"years", 3, 5, 4, 2.5}}});
  report.tables.push_back({.name = "by name",
                           .columns = {{"one", "one", "1"}, {"two", "two", "1"}},
                           .rows = {{1, 2}, {3, 4}},
                           .labels = {"first row", "second row"},
                           .sources = {"somebody, 2025", "another, 2026"}});
  const std::string html = ReportHtml(report, "");
  EXPECT_TRUE(IsBalanced(html));
  EXPECT_FALSE(Has(html, "<h2>What drives capital</h2>"));
  const size_t details = html.find("<details class=\"drivers\">");
  ASSERT_NE(details, std::string::npos);
  EXPECT_GT(html.find("years at 3: $4.00"), details);
  const std::string table = html.substr(html.find("<h2>by name</h2>"));
  for (const char* text : {"first row", "second row", "somebody, 2025", "another, 2026"}) {
    EXPECT_TRUE(Has(table, text)) << text;
  }
  EXPECT_FALSE(Has(table, "<svg"));
}

TEST(HtmlReport, ShowsPartsOfATotal) {
  const std::string html = ReportHtml(Example(), "");
  EXPECT_TRUE(Has(html, "electricity: $1.00 (25.0 %)"));
  EXPECT_TRUE(Has(html, "capital: $3.00 (75.0 %)"));
}

// 10 + 20 of two devices are not the 30 of a third.
TEST(HtmlReport, GivenCountsThatAddUpAreNoParts) {
  Report report{.command = "fleet", .title = "A title"};
  ReportSection& section = report.sections.emplace_back(ReportSection{"inventory", {}});
  for (const auto& [key, count] : {std::pair{"a", 10}, {"b", 20}, {"c", 30}, {"total", 60}}) {
    section.AddNumber(key, key, count, 0, Origin::kInput, "", "devices");
  }
  const std::string html = ReportHtml(report, "");
  EXPECT_FALSE(Has(html, "c by part"));
  EXPECT_TRUE(Has(html, "total by part"));
  EXPECT_TRUE(Has(html, "c: 30 devices (50.0 %)"));
}

TEST(HtmlReport, LeavesAGapWhereTheLineHasNoNumber) {
  const std::string svg = LinesSvg(Example().tables[0]);
  const size_t path = svg.find("<path d=\"");
  const std::string drawn = svg.substr(path, svg.find("/>", path) - path);
  EXPECT_EQ(std::count(drawn.begin(), drawn.end(), 'M'), 2);
  EXPECT_EQ(std::count(drawn.begin(), drawn.end(), 'L'), 1);
}

TEST(HtmlReport, AnAxisBeginsAtZeroWithoutASign) {
  const ReportTable table{.name = "a day",
                          .columns = {{"hour", "hour", "1"}, {"demand", "demand", "1"}},
                          .rows = {{0, 0.5}, {12, 1.5}, {23, 0.75}}};
  const std::string svg = LinesSvg(table);
  EXPECT_TRUE(Has(svg, ">0</text>"));
  EXPECT_FALSE(Has(svg, ">-0</text>"));
}

TEST(HtmlReport, CommandLineMakesTheSameReport) {
  PlanOptions options(PlanCommandNamed("serve"));
  options.Set("model", "v3");
  options.Set("on", "h20");
  EXPECT_EQ(CommandLine(options), "fathom plan serve v3 --on h20");
}

}  // namespace
}  // namespace fathom
