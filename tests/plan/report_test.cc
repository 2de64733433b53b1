#include "plan/report.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "plan/options.h"
#include "plan/run.h"

namespace fathom {
namespace {

Report Sample() {
  Report report{.command = "train", .title = "A title"};
  ReportSection& section = report.sections.emplace_back(ReportSection{"a step", {}});
  section.Add("step", "step", Seconds(2.5), Origin::kPrediction, "published \"3\", so");
  section.AddText("layout", "layout", "TP 1, PP 2");
  section.rows[0].interval = Interval{2, 3};
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  report.tables.push_back(
      {"a sweep", {{"batch", "batch", "1"}, {"time", "time", "s"}}, {{1, kNone}}, ""});
  report.tornados.push_back({"a step", "step", "step", "s", 2.5, {{"network", 40, 50, 3, kNone}}});
  return report;
}

TEST(ReportTest, Json) {
  const auto json = nlohmann::json::parse(Sample().ToJson());
  EXPECT_EQ(json["format"], "fathom-plan");
  EXPECT_EQ(json["version"], 1);
  EXPECT_EQ(json["sections"]["a step"]["step"]["value"], 2.5);
  EXPECT_EQ(json["sections"]["a step"]["step"]["unit"], "s");
  EXPECT_EQ(json["sections"]["a step"]["step"]["origin"], "prediction");
  EXPECT_EQ(json["sections"]["a step"]["step"]["low"], 2);
  EXPECT_EQ(json["sections"]["a step"]["layout"], "TP 1, PP 2");
  EXPECT_TRUE(json["tables"][0]["rows"][0][1].is_null());
  EXPECT_EQ(json["tornados"][0]["bars"][0]["at_low"], 3);
}

TEST(ReportTest, CsvQuotes) {
  EXPECT_EQ(Sample().ToCsv(),
            "section,key,value,unit,origin,note,low,high\r\n"
            "a step,step,2.5,s,prediction,\"published \"\"3\"\", so\",2,3\r\n"
            "a step,layout,\"TP 1, PP 2\",text,input,,,\r\n"
            "a sweep,0.batch,1,1,prediction,,,\r\n"
            "a sweep,0.time,,s,prediction,,,\r\n"
            "what drives step,network,,s,prediction,from 40 to 50,3,\r\n");
}

TEST(ReportTest, TableIsAligned) {
  EXPECT_EQ(Sample().ToTable(),
            "A title\n\na step\n"
            "  step    2.50 s  prediction  90 %: 2.00 s to 3.00 s; published \"3\", so\n"
            "  layout  TP 1, PP 2\n"
            "\na sweep\n"
            "  batch  time\n"
            "      1     -\n"
            "\nwhat drives step (2.50 s), one input at a time\n"
            "  network  ####################  3.00 s at 40, - at 50\n");
}

// Keys of a section are what JSON names rows by: none may come twice.
TEST(ReportTest, KeysAreUnique) {
  for (const PlanCommand& command : PlanCommands()) {
    PlanOptions options(command);
    options.Set("samples", "20");
    const Report report = RunPlan(options);
    size_t rows = 0, keys = 0;
    const auto json = nlohmann::json::parse(report.ToJson());
    for (const ReportSection& section : report.sections) rows += section.rows.size();
    for (const auto& section : json["sections"]) keys += section.size();
    EXPECT_EQ(rows, keys) << report.command;
    EXPECT_EQ(json["sections"].size(), report.sections.size()) << report.command;
  }
}

}  // namespace
}  // namespace fathom
