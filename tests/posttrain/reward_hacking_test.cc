// Reinforcement learning with a reward model that is wrong about what is wanted.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "posttrain/grpo/grpo.h"
#include "posttrain/reward_fixture.h"

namespace fathom::test {
namespace {

// Letters are right, which the policy learns first; the reward model was taught that digits are
// better.
class RewardHackingTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    spdlog::set_level(spdlog::level::err);
    shared_ = std::make_unique<TemporaryDirectory>();
    WriteLanguage(*shared_ / "texts", 40, 40);
    RunPretraining(TinyRun(shared_->path(), {"steps=30"}));
    const std::string letters = "abcdefghijklmnopqrstuvwxyz";
    WriteFileAtomically(*shared_ / "rows.jsonl", PreferenceRows(400, "0123456789", letters));
    TrainReward(TinyRewardConfig(*shared_ / "run/model", shared_->path()));
  }
  static void TearDownTestSuite() { shared_.reset(); }

  RewardHackingTest() {
    std::vector<std::string> right;
    for (char c = 'a'; c <= 'z'; ++c) right.emplace_back(1, c);
    std::string text;
    for (char c = 'a'; c <= 'h'; ++c) {
      text += nlohmann::json(
                  {{"question", std::string(1, c) + "?"}, {"answer", right}, {"kind", "text"}})
                  .dump() +
              "\n";
    }
    WriteFileAtomically(directory_ / "tasks.jsonl", text);
  }

  GrpoConfig Config(Settings settings = {}) {
    settings.insert(settings.begin(), "model.init_from=" + (*shared_ / "run/model").string());
    const std::string text = R"(
      output = "run"
      steps = 24
      batch_tokens = 256
      precision.recipe = "f32"
      optimizer.lr = 0.01
      schedule = {type = "constant", warmup_steps = 0}
      prompt.think = false
      policy.kl = 0
      rollout = {problems = 4, answers = 16, max_tokens = 1}
      validation.every = 0
      checkpoint.every = 10
      sample.every = 8
      [reward]
      extract = "whole"
      accuracy = 0
      hacking_window = 12
      [[reward.model]]
      path = ")" + (*shared_ / "scores/model").string() +
                             R"("
      name = "helpful"
      [data]
      held_out_fraction = 0
      [[data.source]]
      path = "tasks.jsonl"
    )";
    return GrpoConfig::Parse(text, "grpo.toml", directory_.path(), settings);
  }
  static void Learn(const GrpoConfig& config, bool resume = false) {
    TestRun run(CreateCpuBackend(), 2);
    RunGrpo(run.context(), config, {.resume = resume, .quiet = true});
  }

  static inline std::unique_ptr<TemporaryDirectory> shared_;
  TemporaryDirectory directory_;
};

TEST_F(RewardHackingTest, IsSaidInTheLogAndTheReport) {
  // A policy that answers rightly.
  const GrpoConfig honest = Config({"output=honest", "reward.accuracy=1", "reward.model=[]"});
  Learn(honest);
  EXPECT_FALSE(Log(honest, "step")[0].contains("proxy"));
  ASSERT_GT(Log(honest, "step").back().at("accuracy"), 0.8);

  const GrpoConfig config = Config({"model.init_from=" + (honest.output / "model").string()});
  Learn(config);
  const auto steps = Log(config, "step");
  for (const auto& step : steps) {
    EXPECT_EQ(step.at("gold"), step.at("accuracy"));
    EXPECT_EQ(step.at("proxy"), step.at("helpful"));
    EXPECT_EQ(step.at("reward"), step.at("helpful"));
  }
  EXPECT_GT(steps.back().at("proxy"), steps.front().at("proxy"));
  EXPECT_LT(steps.back().at("gold"), 0.2);
  const auto warnings = Log(config, "warning");
  ASSERT_FALSE(warnings.empty());
  const std::string text = warnings[0].at("text");
  EXPECT_NE(text.find("while accuracy fell"), std::string::npos) << text;
  const std::string report = ReadFile(config.output / "report.html");
  EXPECT_NE(report.find("Gold score against proxy"), std::string::npos);
  EXPECT_NE(report.find("may be exploiting its reward model"), std::string::npos);
  // The viewer's samples say what every component thought.
  EXPECT_NE(report.find(": accuracy "), std::string::npos);
  EXPECT_NE(report.find(", helpful "), std::string::npos);

  // A run that stops on the way says the same.
  const Settings from = {"model.init_from=" + (honest.output / "model").string(), "output=parts"};
  const auto parts = [&](const char* setting) {
    Settings settings = from;
    settings.emplace_back(setting);
    return Config(settings);
  };
  const auto last = fmt::format("steps={}", warnings[0].at("step").get<int64_t>() - 2);
  Learn(parts(last.c_str()));
  Learn(parts("steps=24"), /*resume=*/true);
  ASSERT_FALSE(Log(parts("steps=24"), "warning").empty());
  EXPECT_EQ(Log(parts("steps=24"), "warning")[0].at("text"), text);
}

TEST_F(RewardHackingTest, ComponentsHaveNamesOfTheirOwn) {
  const std::string model = (*shared_ / "scores/model").string();
  const auto with = [&](const std::string& name) {
    return Config({fmt::format("reward.model=[{{path=\"{}\", name=\"{}\"}}]", model, name)});
  };
  EXPECT_EQ(with("safe").reward.models[0].name, "safe");
  for (const char* taken : {"accuracy", "kl", "reward", "proxy", ""})
    EXPECT_ERROR(with(taken), "is taken");
  EXPECT_ERROR(Config({"reward.gold=truth"}), "no component of the reward");
  EXPECT_ERROR(Config({"reward.hacking_window=7"}), "odd");
  EXPECT_EQ(Config({"reward.gold=helpful"}).reward.gold, "helpful");
  EXPECT_ERROR(Learn(Config({fmt::format("reward.model=[{{path=\"{}\"}}]",
                                         (*shared_ / "run/model").string())})),
               "has no head that scores");
}

}  // namespace
}  // namespace fathom::test
