// Reward models through the binary: trained, killed, used from the command line and by `fathom rl`.

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "base/random.h"
#include "e2e/process.h"
#include "train/checkpoint.h"
#include "train/tiny_run.h"

namespace fathom::test {
namespace {

namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;

class RewardCommand : public testing::Test {
 protected:
  void SetUp() override {
    WriteLanguage(directory_ / "texts", 40, 40);
    std::ofstream(directory_ / "run.toml") << TinyRun(directory_.path(), {"steps=30"}).ToToml();
    Run({"train", Path("run.toml"), "--json"});
    // Letters are better answers than digits.
    std::ofstream pairs(directory_ / "pairs.jsonl");
    RandomStream random(3);
    for (int i = 0; i < 400; ++i) {
      const auto letter = static_cast<char>('a' + random.NextBelow(26));
      const auto digit = static_cast<char>('0' + random.NextBelow(10));
      pairs << nlohmann::json({{"prompt", std::to_string(i % 9) + "?"},
                               {"chosen", std::string(1, letter)},
                               {"rejected", std::string(1, digit)}})
                   .dump()
            << "\n";
    }
    std::ofstream(directory_ / "reward.toml") << R"(
      output = "scores"
      steps = 30
      batch_tokens = 512
      model.init_from = "run/model"
      optimizer.lr = 0.01
      schedule = {type = "constant", warmup_steps = 0}
      checkpoint.every = 3
      data = {sequence_length = 64, held_out_fraction = 0.2, source = [{path = "pairs.jsonl"}]}
    )";
  }

  // Its JSON, or null for a command that prints none.
  nlohmann::json Run(Arguments arguments) {
    const std::string out = Output(std::move(arguments));
    return out.empty() ? nlohmann::json() : nlohmann::json::parse(out);
  }
  std::string Output(Arguments arguments) {
    arguments.insert(arguments.end(), {"--quiet", "--threads", "2"});
    Process process(directory_.path(), arguments);
    EXPECT_EQ(process.Status(), 0) << arguments[0] << ": " << process.Err();
    return process.Out();
  }
  void ExpectRefused(const Arguments& arguments, const std::string& message, int status = 1) {
    Process process(directory_.path(), arguments);
    EXPECT_EQ(process.Status(), status);
    EXPECT_NE(process.Err().find(message), std::string::npos) << process.Err();
  }
  std::string Path(const std::string& name) const { return directory_ / name; }

  TemporaryDirectory directory_;
};

TEST_F(RewardCommand, ATrainedModelScoresAndIsAReward) {
  const nlohmann::json dry = Run({"reward", Path("reward.toml"), "--json", "--dry-run"});
  EXPECT_EQ(dry.at("tokens"), 30 * 512);
  EXPECT_GT(dry.at("memory_bytes").at("optimizer"), 0);
  EXPECT_FALSE(fs::exists(directory_ / "scores"));

  const nlohmann::json trained = Run({"reward", Path("reward.toml"), "--json"});
  EXPECT_GT(trained.at("pair_accuracy"), 0.9);
  EXPECT_LT(trained.at("accuracy_low"), trained.at("pair_accuracy"));
  EXPECT_GE(trained.at("accuracy_high"), trained.at("pair_accuracy"));
  const std::string model = trained.at("model");
  EXPECT_NE(ReadFile(directory_ / "scores/report.html").find("most wrong first"),
            std::string::npos);

  // From the command line, a line a row.
  std::ofstream(directory_ / "rows.jsonl")
      << R"({"prompt": "1?", "chosen": "m", "rejected": "5"})"
      << "\n\n"
      << R"({"messages": [{"role": "user", "content": "1?"}, {"role": "assistant", "content": "m"}]})"
      << "\n";
  std::istringstream lines(Output({"score", model, "--rows", Path("rows.jsonl")}));
  std::string line;
  ASSERT_TRUE(std::getline(lines, line));
  const auto pair = nlohmann::json::parse(line);
  EXPECT_GT(pair.at("chosen_score"), pair.at("rejected_score"));
  ASSERT_TRUE(std::getline(lines, line));
  EXPECT_EQ(nlohmann::json::parse(line).at("score"), pair.at("chosen_score"));
  EXPECT_FALSE(std::getline(lines, line));

  // As a component of a reward.
  Process problems(directory_.path(), {"problems", "arithmetic", "--count", "40", "--difficulty",
                                       "1", "--form", "task", "--out", Path("problems.jsonl")});
  ASSERT_EQ(problems.Status(), 0) << problems.Err();
  std::ofstream(directory_ / "grpo.toml") << R"(
    output = "rewarded"
    steps = 2
    batch_tokens = 512
    model.init_from = "run/model"
    data = {held_out_fraction = 0.2, source = [{path = "problems.jsonl"}]}
    rollout = {problems = 2, answers = 4, max_tokens = 4}
    reward = {accuracy = 0, model = [{path = "scores/model", name = "helpful", reads = "whole"}]}
  )";
  EXPECT_EQ(Run({"rl", Path("grpo.toml"), "--json"}).at("step"), 2);
  const std::string log = ReadFile(directory_ / "rewarded/log.jsonl");
  for (const char* key : {"\"helpful\":", "\"proxy\":", "\"gold\":"})
    EXPECT_NE(log.find(key), std::string::npos) << key;

  // It is no model that writes.
  for (const Arguments& arguments :
       {Arguments{"generate", model, "--prompt", "1"},
        {"serve", model, "--port", "0"},
        {"score", model, "--text", "one two"},
        {"convert", model, Path("m.gguf"), "--dtype", "bf16"},
        {"rl", Path("grpo.toml"), "--set", "model.init_from=" + model, "--set", "output=x"},
        {"sft", Path("reward.toml"), "--set", "model.init_from=" + model, "--set", "output=x"}}) {
    SCOPED_TRACE(arguments[0]);
    ExpectRefused(arguments, "is a reward model");
  }
  ExpectRefused({"score", Path("run/model"), "--rows", Path("rows.jsonl")},
                "has no head that scores");
  ExpectRefused({"score", model, "--rows", Path("rows.jsonl"), "--text", "a"}, "wants one of", 2);
}

TEST_F(RewardCommand, KilledItEndsAsIfItNeverStopped) {
  const auto train = [&](const std::string& output, bool resume) {
    Arguments arguments = {"reward", Path("reward.toml"), "--set",   "output=" + output,
                           "--set",  "steps=200",         "--quiet", "--threads",
                           "2"};
    if (resume) arguments.push_back("--resume");
    return arguments;
  };
  // Of the log's last whole line.
  const auto last_step = [&]() -> int64_t {
    if (!fs::exists(directory_ / "killed/log.jsonl")) return 0;
    const std::string text = ReadFile(directory_ / "killed/log.jsonl");
    const size_t at = text.rfind("\"step\":", text.rfind('\n'));
    return at == std::string::npos ? 0 : std::strtoll(text.c_str() + at + 7, nullptr, 10);
  };
  Process whole(directory_.path(), train("whole", false));
  ASSERT_EQ(whole.Status(), 0) << whole.Err();
  for (const int64_t step : {1, 20, 50, 101}) {
    Process process(directory_.path(), train("killed", true));
    while (!process.Ended() && last_step() < step) std::this_thread::yield();
    process.Signal(SIGKILL);
    ASSERT_EQ(process.Status(), -SIGKILL) << process.Err();
  }
  ASSERT_TRUE(NewestCheckpoint(directory_ / "killed"));
  Process rest(directory_.path(), train("killed", true));
  ASSERT_EQ(rest.Status(), 0) << rest.Err();
  for (const char* file : {"model/model.safetensors", "model/config.json", "held-out.jsonl"})
    EXPECT_TRUE(ReadFile(directory_ / "killed" / file) == ReadFile(directory_ / "whole" / file))
        << file;
}

TEST_F(RewardCommand, ABadRowIsNamed) {
  std::ofstream(directory_ / "pairs.jsonl", std::ios::app) << R"({"prompt": "1?", "chosen": "a"})"
                                                           << "\n";
  ExpectRefused({"reward", Path("reward.toml"), "--quiet"}, "pairs.jsonl:401");
  ExpectRefused({"reward", Path("reward.toml"), "--quiet"}, "rejected");
  ExpectRefused({"reward", Path("reward.toml"), "--set", "kind=pointwise", "--quiet"},
                "pairs.jsonl:1");
  ExpectRefused({"reward", Path("reward.toml"), "--set", "centring=1", "--quiet"},
                "did you mean 'centering'");
  ExpectRefused({"score", Path("run/model"), "--rows", Path("missing.jsonl")}, "");
}

}  // namespace
}  // namespace fathom::test
