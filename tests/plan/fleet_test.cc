#include "plan/fleet.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "plan/comparison.h"
#include "plan/export_rules.h"
#include "plan/fleet_inference.h"
#include "plan/queue.h"
#include "plan/run.h"
#include "plan/scenarios.h"

namespace fathom {
namespace {

// Erlang's B: two servers and an offered load of one lose (1/2) / (1 + 1 + 1/2) = 1/5.
TEST(QueueTest, ErlangB) {
  const QueueResult result = Solve({.arrivals = 1, .service_time = 1, .servers = 2, .room = 0});
  EXPECT_NEAR(result.refused, 0.2, 1e-12);
  EXPECT_EQ(result.mean_wait, 0);
  EXPECT_NEAR(result.busy, 0.4, 1e-12);
}

// Erlang's C: the same with endless room makes 1/3 wait, C / (c mu - lambda) = 1/3 s on average.
TEST(QueueTest, ErlangC) {
  const QueueResult result = Solve({.arrivals = 1, .service_time = 1, .servers = 2, .room = 1e5});
  EXPECT_NEAR(result.waits, 1.0 / 3, 1e-9);
  EXPECT_NEAR(result.mean_wait, 1.0 / 3, 1e-9);
  EXPECT_NEAR(result.lost(), 0, 1e-9);
}

// Patience as long as service: as many servers as requests, a Poisson number of them. With c = 1
// and a load of 2: given up = (E[N] - E[min(N, 1)]) / lambda = (2 - (1 - e^-2)) / 2.
TEST(QueueTest, PatienceLikeService) {
  const QueueResult result =
      Solve({.arrivals = 2, .service_time = 1, .patience = 1, .servers = 1, .room = 1e4});
  EXPECT_NEAR(result.abandoned, (2 - (1 - std::exp(-2.0))) / 2, 1e-9);
  EXPECT_NEAR(result.waits, 1 - std::exp(-2.0), 1e-9);
}

// Far over capacity, a share 1 - 1/load is lost, whoever loses it; far below, none.
TEST(QueueTest, LargeFleets) {
  Queue queue{.arrivals = 2e5, .service_time = 1, .patience = 10, .servers = 1e5, .room = 1e4};
  const QueueResult over = Solve(queue);
  EXPECT_NEAR(over.lost(), 0.5, 1e-3);
  EXPECT_NEAR(over.busy, 1, 1e-6);
  queue.arrivals = 5e4;
  EXPECT_LT(Solve(queue).lost(), 1e-9);
  const double most = LargestArrivals(queue, 0.05);
  queue.arrivals = most;
  EXPECT_NEAR(Solve(queue).lost(), 0.05, 1e-6);
  EXPECT_NEAR(most, 1e5 / 0.95, 100);
}

// The inverse: 1 % of 0.1526 Erlang is lost on two servers and 8.875 on 16 (Erlang's table). A load
// too large to be counted one by one is scaled.
TEST(QueueTest, FewestServers) {
  const auto fewest = [](double load) {
    return FewestServers({.arrivals = load, .service_time = 1}, 0, 0.01);
  };
  EXPECT_EQ(fewest(0.152), 2);
  EXPECT_EQ(fewest(8.87), 16);
  EXPECT_EQ(fewest(8.95), 17);
  EXPECT_NEAR(fewest(1e9), 0.99e9, 1e6);
}

TEST(QueueTest, Errors) {
  EXPECT_THROW(Solve({.arrivals = -1}), UsageError);
  EXPECT_THROW(Solve({.arrivals = 1, .service_time = 0}), UsageError);
  EXPECT_THROW(Solve({.arrivals = 1, .servers = 0}), UsageError);
  EXPECT_THROW(Solve({.arrivals = 1, .servers = 1e12}), UsageError);
  EXPECT_THROW(Solve({.arrivals = std::nan(""), .servers = 1}), UsageError);
}

// What was said publicly of the devices at those times (the sources stand in rules.toml).
TEST(ExportRulesTest, DevicesByDate) {
  using Verdict = ExportRules::Verdict;
  const Hardware hardware = Hardware::Load();
  const ExportRules rules = ExportRules::Load();
  struct Row {
    const char* device;
    const char* day;
    Verdict verdict;
  };
  for (const Row& row :
       {Row{"a100", "2021-06-01", Verdict::kFree}, Row{"a100", "2022-12-01", Verdict::kLicence},
        Row{"h100", "2022-12-01", Verdict::kLicence}, Row{"h800", "2023-06-01", Verdict::kFree},
        Row{"h800", "2023-12-01", Verdict::kLicence}, Row{"h20", "2024-06-01", Verdict::kFree},
        Row{"h20", "2025-05-01", Verdict::kLicence}, Row{"h20", "2025-09-01", Verdict::kCaseByCase},
        Row{"h200", "2025-06-01", Verdict::kLicence},
        Row{"h200", "2026-03-01", Verdict::kCaseByCase},
        Row{"b200", "2026-03-01", Verdict::kLicence},
        Row{"ascend-910c", "2026-03-01", Verdict::kFree}}) {
    EXPECT_EQ(rules.Check(hardware.Get(row.device), row.day).verdict, row.verdict)
        << row.device << " " << row.day;
  }
  // By hand: 989 x 16 and 1979 x 8.
  EXPECT_EQ(TotalProcessingPerformance(hardware.Get("h100")), 15832);
  EXPECT_EQ(TotalProcessingPerformance(hardware.Get("h20")), 2368);
  EXPECT_THROW(rules.Check(hardware.Get("h20"), "2025-13-01"), UsageError);
  EXPECT_THROW(rules.Check(hardware.Get("h20"), "soon"), UsageError);
}

std::string FleetError(const std::vector<std::pair<const char*, const char*>>& given) {
  PlanOptions options(PlanCommandNamed("fleet"));
  options.Set("samples", "0");
  try {
    for (const auto& [name, text] : given) options.Set(name, text);
    RunPlan(options);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(FleetTest, Errors) {
  const auto expect = [](const std::string& message, const std::vector<std::string>& parts) {
    for (const std::string& part : parts) {
      EXPECT_NE(message.find(part), std::string::npos) << message << "\nlacks: " << part;
    }
  };
  expect(FleetError({{"inventory", "h800"}}), {"inventory", "NAME=NUMBER"});
  expect(FleetError({{"inventory", "h800=-5"}}), {"inventory", "-5"});
  expect(FleetError({{"inventory", "h80=5"}}), {"inventory", "did you mean"});
  expect(FleetError({{"inventory", "h800=5@2023"}}), {"inventory", "not a day"});
  expect(FleetError({{"inventory", "h800=5@2025-02-29"}}), {"inventory", "not a day"});
  expect(FleetError({{"day", "2025-13-01"}}), {"day: ", "not a day"});
  expect(FleetError({{"sites", "a=0.5"}}), {"sites", "0.5, not 1"});
  expect(FleetError({{"research", "0.9"}, {"training", "0.9"}}), {"sum to"});
  expect(FleetError({{"refuse", "true"}}), {"H100", "2023-06-30", "October 2022"});
  EXPECT_EQ(FleetError({{"refuse", "true"}, {"market", "elsewhere"}}), "no error");
}

// A device that only the user's file knows: what the rules say of it is not known, and nothing else
// suffers.
TEST(FleetTest, DeviceOfAUsersFile) {
  const auto path = std::filesystem::path(testing::TempDir()) / "plan_fleet_test.toml";
  std::ofstream file(path);
  file << "[device.ours]\nname = 'Ours'\n";
  for (const char* number :
       {"bf16_tflops", "hbm_gb", "hbm_gb_per_s", "scale_up_gb_per_s", "scale_out_gb_per_s"}) {
    file << number << " = { value = 4000, source = 's', date = '2026' }\n";
  }
  file << "scale_up_devices = { value = 8, source = 's', date = '2026' }\n"
       << "watts = { value = 900, source = 's', date = '2026' }\n"
       << "processors = { value = 100, source = 's', date = '2026' }\n";
  file.close();
  PlanOptions options(PlanCommandNamed("fleet"));
  options.Set("samples", "0");
  options.Set("hardware", path.string());
  options.Set("inventory", "ours=5000@2026-01-01");
  const Report report = RunPlan(options);
  const ReportRow* row = report.Find("inventory", "ours_0");
  ASSERT_NE(row, nullptr);
  EXPECT_NE(row->note.find("export rules not known"), std::string::npos) << row->note;
  const ReportRow* users = report.Find(kFleetInference, "closing_users");
  ASSERT_NE(users, nullptr);
  EXPECT_GT(users->value, 0);
}

// In June 2024 H20 was the only one of the devices with a known price that needed no licence; where
// the rules do not apply, the least of the prices is the answer.
TEST(FleetTest, CheapestServersThatMayBeBought) {
  const Report china = RunPlan(PlanOptions::FromLink("fleet?samples=0&day=2024-06-01"));
  const ReportRow* row = china.Find(kDevicesNeeded, "cheapest");
  ASSERT_NE(row, nullptr);
  EXPECT_NE(row->note.find(" H20;"), std::string::npos) << row->note;
  EXPECT_DOUBLE_EQ(row->value, 28000 * china.Find(kDevicesNeeded, "h20")->value);
  EXPECT_NE(china.Find("may they be bought in China", "h100")->shown.find("NOT TO BE HAD"),
            std::string::npos);
  const Report elsewhere = RunPlan(PlanOptions::FromLink("fleet?samples=0&market=elsewhere"));
  EXPECT_DOUBLE_EQ(elsewhere.Find(kDevicesNeeded, "cheapest")->value,
                   28000 * elsewhere.Find(kDevicesNeeded, "h200")->value);
}

// The two published versions of one fleet's cost.
TEST(FleetTest, PublishedCosts) {
  const Report report = RunPlan(PlanOptions::FromLink("fleet?samples=0"));
  const auto value = [&](const char* section, const char* key) {
    const ReportRow* row = report.Find(section, key);
    EXPECT_NE(row, nullptr) << key;
    return row ? row->value : 0;
  };
  Compare("servers of 60,000 devices, dollars (prices are back-solved)", Claim::kIdentity, 1.6e9,
          value("what it costs", "capital"), 0.01);
  Compare("operating them for four years, dollars", Claim::kPrediction, 944e6,
          value("what it costs", "operating"), 0.4);
  Compare("a year, both, dollars", Claim::kIdentity, 640e6,
          value("published version 2 (corrected: 60,000 GPUs)", "yearly"), 0.01);
  Compare("a year, both, dollars", Claim::kPrediction, 640e6, value("what it costs", "yearly"),
          0.4);
  // What version 1 lacks: 1.6 - 1.3 and 0.944 - 0.715 billion.
  EXPECT_NEAR(value("the difference, back-solved", "h100_capital"), 0.3e9, 1);
  EXPECT_NEAR(value("the difference, back-solved", "h100_operating"), 0.229e9, 1);
  fmt::print("  version 1: $1.3 B and $715 M, of three columns; back-solved: $30,000 an H100\n");
}

// The article's 50,000: the three columns that version 1 sums.
TEST(FleetTest, TheArticlesFleet) {
  const Report report = RunPlan(
      PlanOptions::FromLink("fleet?samples=0&inventory=a100%3D10000,h800%3D10000,h20%3D30000"));
  Compare("servers of the article's 50,000, dollars (prices are back-solved)", Claim::kIdentity,
          1.3e9, report.Find("what it costs", "capital")->value, 0.05);
  Compare("operating them, dollars", Claim::kPrediction, 715e6,
          report.Find("what it costs", "operating")->value, 0.4);
}

}  // namespace
}  // namespace fathom
