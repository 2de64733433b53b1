#include "plan/report.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
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
  report.tornados.push_back(
      {"a step", "step", "step", "s", 2.5, {{"network", 40, 50, 3, kNone}}, true});
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

// To 60 characters: below the row where little would be left beside it.
TEST(ReportTest, NotesWrap) {
  Report report{.command = "train", .title = "A title"};
  ReportSection& section = report.sections.emplace_back(ReportSection{"a step", {}});
  section.Add("step", "step", Seconds(2.5), Origin::kPrediction,
              "one two three four five six seven eight nine ten");
  EXPECT_EQ(report.ToTable(60),
            "A title\n\na step\n"
            "  step  2.50 s  prediction  one two three four five six\n"
            "                            seven eight nine ten\n");
  EXPECT_EQ(report.ToTable(40),
            "A title\n\na step\n"
            "  step  2.50 s  prediction\n"
            "      one two three four five six seven\n"
            "      eight nine ten\n");
}

// There would be room for other words, but not for this one.
TEST(ReportTest, ANoteWithAWordThatIsTooLongForItsPlaceStandsBelow) {
  Report report{.command = "train", .title = "A title"};
  ReportSection& section = report.sections.emplace_back(ReportSection{"a step", {}});
  const std::string address(35, 'x');
  section.Add("step", "step", Seconds(2.5), Origin::kPrediction, "from " + address);
  EXPECT_EQ(report.ToTable(60),
            "A title\n\na step\n"
            "  step  2.50 s  prediction\n"
            "      from " +
                address + "\n");
}

TEST(ReportTest, TableIsAligned) {
  EXPECT_EQ(Sample().ToTable(),
            "A title\n\na step\n"
            "  step    2.50 s  prediction  90 %: 2.00 to 3.00 s; published \"3\", so\n"
            "  layout  TP 1, PP 2\n"
            "\na sweep\n"
            "  batch  time\n"
            "      1     -\n"
            "\nwhat drives step (2.50 s), one input at a time\n"
            "  network  ####################  3.00 s at 40       - at 50\n");
}

// Drivers of other rows than headlines are printed when they are asked for by key.
TEST(ReportTest, DriversOfARow) {
  Report report = Sample();
  report.tornados.push_back({"a step", "bubble", "bubble", "s", 1, {{"stages", 8, 32, 0.5, 2}}});
  EXPECT_EQ(report.ToTable().find("what drives bubble"), std::string::npos);
  for (const char* drivers : {"bubble", "all"}) {
    EXPECT_NE(report.ToTable(0, drivers).find("what drives bubble"), std::string::npos) << drivers;
  }
  try {
    report.ToTable(0, "buble");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("did you mean 'bubble'"), std::string::npos);
  }
}

// What was asked stands above everything else, and programs are told which rows those are.
TEST(ReportTest, AnswersComeFirst) {
  Report report = Sample();
  report.answers = {{"a step", "step"}, {"a step", "no such row"}};
  const std::string text = report.ToTable();
  EXPECT_EQ(text.substr(0, text.find("\n\na step")),
            "A title\n\nin short\n"
            "  step  2.50 s  90 %: 2.00 to 3.00 s");
  const auto json = nlohmann::json::parse(report.ToJson());
  EXPECT_EQ(json["answers"][0]["section"], "a step");
  EXPECT_EQ(json["answers"][0]["key"], "step");
}

// Every command answers with rows that it has.
TEST(ReportTest, EveryCommandAnswers) {
  for (const PlanCommand& command : PlanCommands()) {
    PlanOptions options(command);
    options.Set("samples", "0");
    const Report report = RunPlan(options);
    EXPECT_GE(report.answers.size(), 3u) << command.name;
    for (const Headline& answer : report.answers) {
      EXPECT_NE(report.Find(answer.section, answer.key), nullptr) << answer.section << answer.key;
    }
  }
}

// The unit once where both ends have the same.
TEST(ReportTest, Ranges) {
  EXPECT_EQ(FormatRange({0.5, 0.75}, "s"), "500 to 750 ms");
  EXPECT_EQ(FormatRange({0.5, 2}, "s"), "500 ms to 2.00 s");
  EXPECT_EQ(FormatRange({2e6, 3e6}, "USD"), "$2.000 to $3.000 M");
  EXPECT_EQ(FormatRange({70, 136}, "1"), "70 to 136");
}

// Lines of tornados and tables with sources keep to a narrow terminal.
TEST(ReportTest, EightyColumns) {
  Report report = Sample();
  report.tornados[0].bars[0].input = "an input that has a long name and more";
  report.tables.push_back({.name = "prices",
                           .columns = {{"price", "price", "USD"}},
                           .rows = {{1}},
                           .labels = {"a model"},
                           .sources = {"a source that is long enough to be wrapped somewhere in "
                                       "the middle of what it says"}});
  std::istringstream lines(report.ToTable(80));
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80u) << line;
}

// Every prediction has an interval and says what drives it, unless no input with a range reaches
// it.
TEST(ReportTest, EveryPredictionHasDrivers) {
  for (const PlanCommand& command : PlanCommands()) {
    PlanOptions options(command);
    options.Set("samples", "20");
    const Report report = RunPlan(options);
    for (const ReportSection& section : report.sections) {
      for (const ReportRow& row : section.rows) {
        if (row.origin != Origin::kPrediction) continue;
        const auto is_this = [&](const ReportTornado& tornado) {
          return tornado.section == section.name && tornado.key == row.key;
        };
        const bool driven = std::any_of(report.tornados.begin(), report.tornados.end(), is_this);
        EXPECT_EQ(driven, row.interval.has_value())
            << report.command << ": " << section.name << ": " << row.key;
      }
    }
  }
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
