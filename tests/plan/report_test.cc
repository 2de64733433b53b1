#include "plan/report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "plan/scenarios.h"

namespace fathom {
namespace {

Report Sample() {
  Report report{.command = "train", .title = "A title"};
  ReportSection& section = report.sections.emplace_back(ReportSection{"a step", {}});
  section.Add("step", "step", Seconds(2.5), Origin::kPrediction, "published \"3\", so");
  section.AddText("layout", "layout", "TP 1, PP 2");
  return report;
}

TEST(ReportTest, Json) {
  const auto json = nlohmann::json::parse(Sample().ToJson());
  EXPECT_EQ(json["format"], "fathom-plan");
  EXPECT_EQ(json["version"], 1);
  EXPECT_EQ(json["sections"]["a step"]["step"]["value"], 2.5);
  EXPECT_EQ(json["sections"]["a step"]["step"]["unit"], "s");
  EXPECT_EQ(json["sections"]["a step"]["step"]["origin"], "prediction");
  EXPECT_EQ(json["sections"]["a step"]["layout"], "TP 1, PP 2");
}

TEST(ReportTest, CsvQuotes) {
  EXPECT_EQ(Sample().ToCsv(),
            "section,key,value,unit,origin,note\r\n"
            "a step,step,2.5,s,prediction,\"published \"\"3\"\", so\"\r\n"
            "a step,layout,\"TP 1, PP 2\",text,input,\r\n");
}

TEST(ReportTest, TableIsAligned) {
  EXPECT_EQ(Sample().ToTable(),
            "A title\n\na step\n"
            "  step    2.50 s  prediction  published \"3\", so\n"
            "  layout  TP 1, PP 2\n");
}

// Keys of a section are what JSON names rows by: none may come twice.
TEST(ReportTest, KeysAreUnique) {
  const Hardware hardware = Hardware::Load();
  const Prices prices = Prices::Load();
  TrainingScenario training{.model = "v3", .config = PublishedConfig("v3")};
  training.device = hardware.Get("h800");
  training.kernels = hardware.kernels;
  training.tokens = Tokens(1e12);
  training.compare_with_v3 = true;
  ServingScenario serving{.model = "v3", .config = PublishedConfig("v3")};
  serving.device = hardware.Get("h800");
  serving.kernels = hardware.kernels;
  serving.rent = prices.rent.at("h800");
  serving.service = Service::Load();
  serving.price = prices.Api("deepseek-r1");
  serving.compare_with_published = true;
  const PriceScenario price{.device = hardware.Get("h800"),
                            .rent = prices.rent.at("h800"),
                            .money = Money::Load(hardware.Get("h800")),
                            .prices = prices};
  for (const Report& report :
       {ReportTraining(training), ReportServing(serving), ReportPrices(price)}) {
    size_t rows = 0, keys = 0;
    const auto json = nlohmann::json::parse(report.ToJson());
    for (const ReportSection& section : report.sections) rows += section.rows.size();
    for (const auto& section : json["sections"]) keys += section.size();
    EXPECT_EQ(rows, keys) << report.command;
  }
}

}  // namespace
}  // namespace fathom
