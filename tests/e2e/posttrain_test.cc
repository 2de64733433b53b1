// From nothing to a model that was rewarded, through the binary: problems, train, sft, rl.

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "e2e/process.h"
#include "train/checkpoint.h"
#include "train/tiny_run.h"

namespace fathom::test {
namespace {

namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;

class PostTraining : public testing::Test {
 protected:
  void SetUp() override {
    WriteLanguage(directory_ / "texts", 40, 40);
    std::ofstream(directory_ / "run.toml") << TinyRun(directory_.path()).ToToml();
    std::ofstream(directory_ / "sft.toml") << R"(
      output = "tuned"
      steps = 6
      schedule.warmup_steps = 0
      batch_tokens = 256
      model.init_from = "run/model"
      data = {sequence_length = 64, held_out_fraction = 0.2, source = [{path = "chats.jsonl"}]}
    )";
    std::ofstream(directory_ / "grpo.toml") << R"(
      output = "rewarded"
      steps = 3
      schedule.warmup_steps = 0
      batch_tokens = 512
      model.init_from = "tuned/model"
      data = {held_out_fraction = 0.2, source = [{path = "problems.jsonl"}]}
      rollout = {problems = 2, answers = 4, max_tokens = 8}
      reward = {format = 0.5, overlong = 0.1, overlong_buffer = 4}
    )";
  }

  // Its JSON, or null for a command that prints none.
  nlohmann::json Run(Arguments arguments) {
    arguments.insert(arguments.end(), {"--quiet", "--threads", "2"});
    Process process(directory_.path(), arguments);
    EXPECT_EQ(process.Status(), 0) << arguments[0] << ": " << process.Err();
    EXPECT_EQ(process.Err(), "") << arguments[0];
    const std::string out = process.Out();
    return out.empty() ? nlohmann::json() : nlohmann::json::parse(out);
  }
  std::string Path(const std::string& name) const { return directory_ / name; }

  TemporaryDirectory directory_;
};

TEST_F(PostTraining, OneModelGoesThroughAllOfIt) {
  Run({"train", Path("run.toml"), "--json"});
  for (const auto& [form, file] : {std::pair("chat", "chats.jsonl"), {"task", "problems.jsonl"}}) {
    Process problems(directory_.path(), {"problems", "arithmetic", "--count", "60", "--difficulty",
                                         "1", "--form", form, "--out", Path(file)});
    ASSERT_EQ(problems.Status(), 0) << problems.Err();
  }
  const nlohmann::json tuned = Run({"sft", Path("sft.toml"), "--json"});
  EXPECT_EQ(tuned.at("step"), 6);
  EXPECT_LE(tuned.at("best_score"), tuned.at("start_score"));
  EXPECT_TRUE(fs::exists(tuned.at("model").get<std::string>() + "/model.safetensors"));
  const nlohmann::json dry = Run({"sft", Path("sft.toml"), "--json", "--dry-run"});
  EXPECT_EQ(dry.at("tokens"), 6 * 256);

  const nlohmann::json planned = Run({"rl", Path("grpo.toml"), "--json", "--dry-run"});
  EXPECT_TRUE(planned.at("fits"));
  EXPECT_GT(planned.at("memory_bytes").at("cache"), 0);
  EXPECT_FALSE(fs::exists(directory_ / "rewarded"));

  const nlohmann::json rewarded = Run({"rl", Path("grpo.toml"), "--json"});
  EXPECT_EQ(rewarded.at("step"), 3);
  EXPECT_GE(rewarded.at("accuracy"), 0);
  EXPECT_GT(rewarded.at("held_out_problems"), 0);
  const fs::path output = directory_ / "rewarded";
  EXPECT_TRUE(fs::exists(output / "report.html"));
  const std::string log = ReadFile(output / "log.jsonl");
  for (const char* component :
       {"\"accuracy\":", "\"format\":", "\"overlong\":", "\"deviation\":0.0"})
    EXPECT_NE(log.find(component), std::string::npos) << component;

  // What comes out is a model like any other, and the run can go on.
  EXPECT_EQ(
      Run({"generate", Path("rewarded/model"), "--prompt", "2", "--max-tokens", "3", "--json"})
          .at("choices")
          .size(),
      1);
  EXPECT_EQ(Run({"rl", Path("grpo.toml"), "--json", "--resume", "--set", "steps=4"}).at("step"), 4);
}

// Adapters: tuned, rewarded, used beside their model and merged into it.
TEST_F(PostTraining, AdaptersGoThroughAllOfIt) {
  Run({"train", Path("run.toml"), "--json"});
  for (const auto& [form, file] : {std::pair("chat", "chats.jsonl"), {"task", "problems.jsonl"}}) {
    Process problems(directory_.path(), {"problems", "arithmetic", "--count", "60", "--difficulty",
                                         "1", "--form", form, "--out", Path(file)});
    ASSERT_EQ(problems.Status(), 0) << problems.Err();
  }
  const Arguments lora = {"--set", "lora.rank=4", "--set", "optimizer.lr=0.02", "--json"};
  const auto with = [&](Arguments arguments) {
    arguments.insert(arguments.end(), lora.begin(), lora.end());
    return Run(arguments);
  };
  const nlohmann::json whole = Run({"sft", Path("sft.toml"), "--json", "--dry-run"});
  const nlohmann::json dry = with({"sft", Path("sft.toml"), "--dry-run"});
  for (const char* role : {"weights", "gradients", "optimizer"}) {
    EXPECT_LT(dry.at("memory_bytes").at(role).get<int64_t>(),
              whole.at("memory_bytes").at(role).get<int64_t>())
        << role;
  }
  const nlohmann::json tuned = with({"sft", Path("sft.toml")});
  EXPECT_LT(tuned.at("best_score"), tuned.at("start_score"));
  const std::string adapter = tuned.at("model"), model = Path("run/model");
  EXPECT_EQ(adapter, Path("tuned/adapter"));
  EXPECT_EQ(with({"rl", Path("grpo.toml"), "--set", "model.init_from=" + model}).at("model"),
            Path("rewarded/adapter"));

  const auto logprobs = [&](const std::string& path, Arguments more) {
    more.insert(more.begin(), {"score", path, "--text", "one two three", "--json"});
    return Run(more).at("logprobs");
  };
  const nlohmann::json adapted = logprobs(model, {"--adapter", adapter});
  EXPECT_NE(adapted, logprobs(model, {}));
  Run({"convert", model, Path("merged"), "--adapter", adapter});
  EXPECT_EQ(logprobs(Path("merged"), {}), adapted);
  Run({"generate", model, "--adapter", adapter, "--prompt", "one", "--max-tokens", "4", "--json"});
  Process wrong(directory_.path(),
                {"generate", model, "--adapter", model, "--prompt", "one", "--quiet"});
  EXPECT_EQ(wrong.Status(), 1);
  EXPECT_NE(wrong.Err().find("has no adapter_config.json"), std::string::npos) << wrong.Err();
}

TEST_F(PostTraining, WhatCannotWorkIsOneClearLine) {
  Process missing(directory_.path(), {"sft", Path("sft.toml")});
  EXPECT_EQ(missing.Status(), 1);
  EXPECT_NE(missing.Err().find("run/model"), std::string::npos) << missing.Err();
  Process key(directory_.path(), {"rl", Path("grpo.toml"), "--set", "rollout.anwsers=3"});
  EXPECT_EQ(key.Status(), 1);
  EXPECT_NE(key.Err().find("did you mean 'rollout.answers'"), std::string::npos) << key.Err();
  Process nothing(directory_.path(), {"rl"});
  EXPECT_EQ(nothing.Status(), 2);
}

}  // namespace
}  // namespace fathom::test
