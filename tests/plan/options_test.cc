#include "plan/options.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "plan/run.h"

namespace fathom {
namespace {

template <typename F>
std::string MessageOf(const F& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::string SetError(const char* command, const char* name, const char* text) {
  return MessageOf([&] { PlanOptions(PlanCommandNamed(command)).Set(name, text); });
}

void ExpectParts(const std::string& message, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) {
    EXPECT_NE(message.find(part), std::string::npos) << message << "\nlacks: " << part;
  }
}

TEST(PlanOptionsTest, BadValuesNameTheOption) {
  ExpectParts(SetError("train", "devices", "-8"),
              {"devices", "-8", "not between 1 and 16,777,216"});
  ExpectParts(SetError("train", "devices", "8.5"), {"devices", "not a whole number"});
  ExpectParts(SetError("train", "tokens", "nan"), {"tokens", "not a number"});
  ExpectParts(SetError("train", "tokens", "1e400"), {"tokens", "not a number"});
  ExpectParts(SetError("train", "utilisation", "1.5"), {"utilisation", "not between"});
  ExpectParts(SetError("train", "precision", "fp9"), {"precision", "did you mean 'fp8'"});
  ExpectParts(SetError("train", "device", "1"), {"option of train", "did you mean 'devices'"});
  ExpectParts(SetError("serve", "rent", "-1"), {"rent", "not between"});
  ExpectParts(MessageOf([] { PlanCommandNamed("serv"); }), {"command", "did you mean 'serve'"});
}

// INT8 stands in for FP8 where tokens are served, but nobody trains in it.
TEST(PlanOptionsTest, TrainingPrecisionIsTheDevices) {
  const auto report = [](const char* device, const char* precision) {
    PlanOptions options(PlanCommandNamed("train"));
    options.Set("on", device);
    options.Set("tp", "2");
    options.Set("samples", "0");
    if (*precision != 0) options.Set("precision", precision);
    return RunPlan(options);
  };
  EXPECT_EQ(report("h800", "").Find("inputs", "precision")->shown, "FP8");
  EXPECT_EQ(report("h800", "bf16").Find("inputs", "precision")->shown, "bf16");
  EXPECT_EQ(report("a100", "").Find("inputs", "precision")->shown, "bf16");
  ExpectParts(MessageOf([&] { report("a100", "fp8"); }), {"precision", "no FP8", "bf16 fits"});
}

TEST(PlanOptionsTest, FallbacksAreValid) {
  for (const PlanCommand& command : PlanCommands()) {
    for (const PlanOption& option : command.options) {
      if (option.fallback.empty()) continue;
      PlanOptions options(command);
      EXPECT_NO_THROW(options.Set(option.name, option.fallback)) << option.name;
      EXPECT_FALSE(options.AnyGivenBut({})) << option.name;
    }
  }
}

TEST(PlanOptionsTest, RequestAndLink) {
  const PlanOptions request = PlanOptions::FromJson(
      R"({"command": "train", "options": {"model": "v2", "devices": 1024, "no-mtp": true,
          "tokens": 8.1e12, "rent": null}})");
  EXPECT_EQ(request.Text("model"), "v2");
  EXPECT_EQ(request.Integer("devices"), 1024);
  EXPECT_TRUE(request.Flag("no-mtp"));
  EXPECT_EQ(request.Number("tokens"), 8.1e12);
  EXPECT_FALSE(request.OptionalNumber("rent"));
  EXPECT_EQ(request.Integer("pp"), 16);  // the fallback
  const PlanOptions again = PlanOptions::FromLink(request.ToLink());
  EXPECT_EQ(again.ToLink(), request.ToLink());
  EXPECT_EQ(again.Number("tokens"), 8.1e12);
}

// Requests and links come from anybody: no files, no unknown models, no surprises.
TEST(PlanOptionsTest, RemoteInputIsRefused) {
  const auto json = [](const char* text) {
    return MessageOf([&] { PlanOptions::FromJson(text); });
  };
  const auto link = [](const char* text) {
    return MessageOf([&] { PlanOptions::FromLink(text); });
  };
  ExpectParts(json(R"({"command": "train", "options": {"model": "/etc/passwd"}})"),
              {"model", "not known"});
  ExpectParts(json(R"({"command": "train", "options": {"hardware": "/etc/passwd"}})"),
              {"hardware", "command line only"});
  ExpectParts(json(R"({"command": "train", "options": {"devices": [1]}})"), {"devices"});
  ExpectParts(json(R"({"command": "train", "option": {}})"), {"option"});
  ExpectParts(json(R"({"command": 7})"), {"command"});
  ExpectParts(json("[]"), {"request"});
  ExpectParts(link("train?devices=%4"), {"link", "percent-encoded"});
  ExpectParts(link("train?devices=%zz"), {"link", "percent-encoded"});
  ExpectParts(link("train?devices"), {"devices", "not a number"});
  ExpectParts(link("?"), {"command"});
  ExpectParts(link(("train?model=" + std::string(10000, 'x')).c_str()), {"model", "longer than"});
}

TEST(PlanOptionsTest, TheTableAsJson) {
  const auto json = nlohmann::json::parse(PlanCommandsJson());
  for (const auto& command : json["commands"]) {
    for (const auto& option : command["options"]) {
      EXPECT_NE(option["kind"], "file");
      EXPECT_FALSE(option["help"].get<std::string>().empty());
      if (option["kind"] == "number" || option["kind"] == "integer") {
        EXPECT_LT(option["least"], option["most"]) << option["name"];
      }
    }
  }
}

// What one option changes moves the report; the same options give the same report.
TEST(PlanOptionsTest, RunPlan) {
  const auto hours = [](const char* link) {
    return RunPlan(PlanOptions::FromLink(link)).Find("the run", "device_hours")->value;
  };
  EXPECT_DOUBLE_EQ(hours("train?tokens=2e12&samples=0"), 2 * hours("train?tokens=1e12&samples=0"));
  const char* sampled = "serve?samples=50&seed=3";
  EXPECT_EQ(RunPlan(PlanOptions::FromLink(sampled)).ToJson(),
            RunPlan(PlanOptions::FromLink(sampled)).ToJson());
}

// The model of the interval: rent alone scales the cost, so its ends are those of the rent.
TEST(PlanOptionsTest, IntervalsFollowTheInputs) {
  const Report report = RunPlan(PlanOptions::FromLink(
      "train?model=llama-1-65b&on=h100&utilisation=0.4&samples=2000&length=2048"));
  const ReportRow* cost = report.Find("the run", "cost");
  ASSERT_TRUE(cost != nullptr && cost->interval);
  // h100's rent is 1.99, 2.95, 5: half the mass in each triangle, a tenth of a half beyond these.
  const double low = 1.99 + 0.96 * std::sqrt(0.1), high = 5 - 2.05 * std::sqrt(0.1);
  // A quantile of 2000 samples has a standard error of sqrt(0.05 x 0.95 / 2000) / density: 0.03 at
  // the upper end, where the density is sqrt(0.1) / 2.05. Three of them, over 2.95.
  EXPECT_NEAR(cost->interval->low / cost->value, low / 2.95, 0.035);
  EXPECT_NEAR(cost->interval->high / cost->value, high / 2.95, 0.035);
}

// A likely value is a central one: it lies in its interval, whatever the command.
TEST(PlanOptionsTest, LikelyValuesLieInTheirIntervals) {
  for (const char* link : {"train?samples=200", "serve?samples=200", "price?on=a100&samples=200",
                           "fleet?samples=200", "market?samples=200"}) {
    for (const ReportSection& section : RunPlan(PlanOptions::FromLink(link)).sections) {
      for (const ReportRow& row : section.rows) {
        if (!row.interval) continue;
        EXPECT_LE(row.interval->low, row.value * (1 + 1e-9)) << link << ' ' << row.label;
        EXPECT_GE(row.interval->high, row.value * (1 - 1e-9)) << link << ' ' << row.label;
      }
    }
  }
}

}  // namespace
}  // namespace fathom
