// `fathom plan` from the outside.

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/temporary_directory.h"
#include "e2e/process.h"

namespace fathom::test {
namespace {

class PlanCommandTest : public testing::Test {
 protected:
  int Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "plan");
    Process process(directory_.path(), arguments);
    const int status = process.Status();
    out_ = process.Out();
    err_ = process.Err();
    return status;
  }

  TemporaryDirectory directory_;
  std::string out_, err_;
};

TEST_F(PlanCommandTest, EveryCommandPrintsTableJsonAndCsv) {
  for (const char* command : {"train", "serve", "price", "fleet", "market"}) {
    ASSERT_EQ(Run({command, "--samples", "20"}), 0) << err_;
    EXPECT_NE(out_.find("prediction"), std::string::npos) << command;
    ASSERT_EQ(Run({command, "--samples", "20", "--json"}), 0) << err_;
    const auto json = nlohmann::json::parse(out_);
    EXPECT_EQ(json["format"], "fathom-plan");
    EXPECT_EQ(json["command"], command);
    EXPECT_FALSE(json["sections"].empty());
    EXPECT_FALSE(json["tornados"].empty()) << command;
    ASSERT_EQ(Run({command, "--samples", "0", "--csv"}), 0) << err_;
    EXPECT_EQ(out_.rfind("section,key,value,unit,origin,note,low,high\r\n", 0), 0u) << command;
    ASSERT_EQ(Run({command, "--help"}), 0);
    EXPECT_NE(out_.find("Example: fathom plan"), std::string::npos) << command;
  }
}

TEST_F(PlanCommandTest, BadInputSaysWhatIsWrong) {
  const auto expect = [&](std::vector<std::string> arguments, int status, const char* part) {
    EXPECT_EQ(Run(arguments), status) << arguments[0];
    EXPECT_NE(err_.find(part), std::string::npos) << err_ << "\nlacks: " << part;
    EXPECT_TRUE(out_.empty());
  };
  expect({"train", "v3", "--devices=-8"}, 2, "devices: -8");
  expect({"train", "v3", "--devices", "2047"}, 2, "the nearest that fits is 2048");
  expect({"train", "v3", "--pp", "2", "--ep", "8"}, 1, "the nearest layout that fits is");
  expect({"trian"}, 2, "did you mean 'train'?");
  expect({"train", "v3", "--devces", "8"}, 2, "did you mean '--devices'?");
  expect({"train", "v3", "-devices", "8"}, 2, "did you mean '--devices'?");
  expect({"train", "v9"}, 2, "v9");
  expect({"train", "./nowhere/config.json"}, 1, "does not exist");
  expect({"serve", "v3", "--on", "h80"}, 2, "did you mean");
  expect({"serve", "v3", "--speed", "1000"}, 1, "speed: ");
  expect({"serve", "v3", "--service", (directory_ / "none.toml").string()}, 1, "none.toml");
  expect({"fleet", "--refuse"}, 1, "October 2022");
  expect({"fleet", "--users=-1"}, 2, "users: -1");
  expect({"market", "--progress", "0.5"}, 2, "progress");
}

// A model directory of one's own, and a file of numbers over the built-in ones.
TEST_F(PlanCommandTest, OwnModelAndNumbers) {
  Process init(directory_.path(), {"init", "nano", (directory_ / "model").string(), "--quiet"});
  ASSERT_EQ(init.Status(), 0);
  ASSERT_EQ(Run({"train", (directory_ / "model").string(), "--devices", "1", "--pp", "1", "--ep",
                 "1", "--schedule", "1f1b", "--batch", "64", "--length", "512", "--tokens", "1e9",
                 "--samples", "0", "--json"}),
            0)
      << err_;
  EXPECT_GT(nlohmann::json::parse(out_)["sections"]["the run"]["device_hours"]["value"], 0);
  std::ofstream(directory_ / "rent.toml")
      << "[rent]\nh800 = { value = 3, source = 'our contract', date = '2026-11' }\n";
  const auto cost = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"train", "v3", "--samples", "0", "--json"});
    EXPECT_EQ(Run(more), 0) << err_;
    return nlohmann::json::parse(out_)["sections"]["the run"]["cost"]["value"].get<double>();
  };
  EXPECT_NEAR(cost({"--prices", (directory_ / "rent.toml").string()}) / cost({}), 1.5, 1e-9);
}

}  // namespace
}  // namespace fathom::test
