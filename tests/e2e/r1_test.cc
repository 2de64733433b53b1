// `fathom r1` from the outside: seven stages with a small random model, what a kill leaves behind,
// and what is said of pipelines that cannot work.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/temporary_directory.h"
#include "e2e/process.h"

namespace fathom::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class R1Test : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = std::make_unique<TemporaryDirectory>();
    const auto run = [](const std::vector<std::string>& arguments) {
      Process process(shared_->path(), arguments);
      ASSERT_EQ(process.Status(), 0) << process.Err();
    };
    const std::string tokenizer = *shared_ / "tokenizer", base = *shared_ / "base";
    run({"problems", "words", "--count", "60", "--difficulty", "1", "--form", "chat", "--out",
         *shared_ / "chats.jsonl"});
    run({"problems", "words", "--count", "60", "--difficulty", "1", "--out",
         *shared_ / "problems.jsonl"});
    std::ofstream pairs(*shared_ / "pairs.jsonl");
    for (int i = 0; i < 40; ++i) {
      pairs << json({{"prompt", fmt::format("How many are {} and {}?", i, i)},
                     {"chosen", fmt::format("{}", 2 * i)},
                     {"rejected", fmt::format("{} or so, I think", i)}})
                   .dump()
            << "\n";
    }
    pairs.close();
    run({"tokenize", "train", "--vocab-size", "500", "--quiet", "--out", tokenizer,
         *shared_ / "chats.jsonl"});
    run({"init", "nano", base, "--layers", "2", "--seed", "3", "--tokenizer", tokenizer});
  }
  static void TearDownTestSuite() { shared_.reset(); }

  R1Test() {
    const auto put = [&](std::string text) {
      for (size_t at; (at = text.find("SHARED")) != std::string::npos;)
        text.replace(at, 6, shared_->path().string());
      std::ofstream(own_ / "r1.toml") << text;
    };
    put(R"(
      output = "out"
      evaluation = {tasks = ["words:1"], limit = 4, samples = 2, max_tokens = 12, start = "chat"}

      [[stage]]
      name = "cold-start"
      [stage.sft]
      steps = 4
      batch_tokens = 512
      model.init_from = "SHARED/base"
      checkpoint.every = 2
      data = {sequence_length = 256, held_out_fraction = 0.2, source = [{path = "SHARED/chats.jsonl"}]}

      [[stage]]
      name = "reasoning"
      [stage.rl]
      steps = 2
      batch_tokens = 512
      checkpoint.every = 1
      model.init_from = "@cold-start"
      data = {held_out_fraction = 0.2, source = [{path = "SHARED/problems.jsonl"}]}
      rollout = {problems = 2, answers = 2, max_tokens = 12}

      [[stage]]
      name = "rejection"
      [stage.distill]
      teacher.model = "@reasoning"
      prompt.think = "model"
      sampling = {samples = 2, max_tokens = 12}
      data.source = [{path = "SHARED/problems.jsonl"}]
      # The model has learnt nothing: none of its answers would be left.
      filter = {correct = false, finished = false, language_share = 0, repetition = 1}

      [[stage]]
      name = "all-round"
      [stage.sft]
      steps = 3
      batch_tokens = 512
      model.init_from = "SHARED/base"
      [stage.sft.data]
      sequence_length = 256
      held_out_fraction = 0.2
      source = [{path = "@rejection/sft.jsonl"}, {path = "SHARED/chats.jsonl"}]

      [[stage]]
      name = "helpful"
      [stage.reward]
      steps = 2
      batch_tokens = 512
      model.init_from = "@all-round"
      data = {sequence_length = 256, held_out_fraction = 0.2, source = [{path = "SHARED/pairs.jsonl"}]}

      [[stage]]
      name = "alignment"
      [stage.rl]
      steps = 1
      batch_tokens = 512
      model.init_from = "@all-round"
      data = {held_out_fraction = 0.2, source = [{path = "SHARED/problems.jsonl"}]}
      rollout = {problems = 2, answers = 2, max_tokens = 12}
      reward.model = [{path = "@helpful", name = "helpful"}]

      [[stage]]
      name = "student"
      [stage.distill]
      teacher.model = "@alignment"
      prompt.think = "model"
      sampling = {samples = 1, max_tokens = 12}
      data.source = [{path = "SHARED/problems.jsonl"}]
      filter = {correct = false, finished = false, language_share = 0, repetition = 1}
      [stage.distill.student]
      steps = 2
      batch_tokens = 512
      model.init_from = "SHARED/base"
      data.sequence_length = 256
    )");
  }

  std::vector<std::string> Arguments(std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {"r1",     own_ / "r1.toml", "--quiet",
                                          "--json", "--threads",      "2"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  json Run(const std::vector<std::string>& more = {}) const {
    Process process(own_.path(), Arguments(more));
    EXPECT_EQ(process.Status(), 0) << process.Err();
    return json::parse(process.Out());
  }
  // What it says when it fails.
  std::string Fail(const std::vector<std::string>& more = {}) const {
    Process process(own_.path(), Arguments(more));
    EXPECT_EQ(process.Status(), 1);
    return process.Err();
  }
  std::string Weights(const std::string& output) const {
    return ReadFile(own_ / output / "student/student/model/model.safetensors");
  }
  // Names of the models that were measured.
  static std::vector<std::string> Models(const json& result) {
    std::vector<std::string> names;
    for (const json& model : result.at("models")) names.push_back(model.at("name"));
    return names;
  }

  static inline std::unique_ptr<TemporaryDirectory> shared_;
  TemporaryDirectory own_;
};

TEST_F(R1Test, GoesThroughItsStagesAndMeasuresEveryModel) {
  const json result = Run();
  EXPECT_EQ(result["interrupted"], false);
  ASSERT_EQ(result["stages"].size(), 7u);
  for (const json& stage : result["stages"]) {
    EXPECT_EQ(stage["done"], true);
    EXPECT_TRUE(fs::exists(own_ / "out" / stage["name"].get<std::string>() / "report.html"));
  }
  const std::string base = *shared_ / "base";
  EXPECT_EQ(Models(result), (std::vector<std::string>{base, "cold-start", "reasoning", "all-round",
                                                      "alignment", "student"}));
  const std::vector<std::string> begun_with = {"", base, "cold-start", base, "all-round", base};
  for (size_t i = 0; i < begun_with.size(); ++i) {
    const json& model = result["models"][i];
    EXPECT_EQ(model["begun_with"], begun_with[i]);
    EXPECT_TRUE(fs::exists(fs::path(model["model"].get<std::string>()) / "model.safetensors"));
    EXPECT_EQ(model["scores"][0]["problems"], 4);
    EXPECT_EQ(model["scores"][0]["samples_each"], 2);
    EXPECT_EQ(model["scores"][0].contains("gain"), i > 0);
  }
  const std::string report = ReadFile(own_ / "out/report.html");
  EXPECT_NE(report.find("<a href='alignment/report.html'>alignment</a>"), std::string::npos);
  EXPECT_NE(report.find("words:1"), std::string::npos);
  EXPECT_NE(ReadFile(own_ / "out/alignment/log.jsonl").find("\"helpful\":"), std::string::npos);
  // What the second tuning learnt from is what the first model wrote.
  EXPECT_NE(ReadFile(own_ / "out/all-round/config.toml").find("out/rejection/sft.jsonl"),
            std::string::npos);

  EXPECT_NE(Fail().find("give --resume to go on with it"), std::string::npos);
  // All is done: nothing is run again.
  const auto written = fs::last_write_time(own_ / "out/student/student/model/model.safetensors");
  const json again = Run({"--resume"});
  EXPECT_EQ(again["models"], result["models"]);
  EXPECT_EQ(again["stages"], result["stages"]);
  EXPECT_EQ(fs::last_write_time(own_ / "out/student/student/model/model.safetensors"), written);

  // What a stage says of itself is what was run.
  const std::string changed = Fail({"--resume", "--set", "stage[1].rl.steps=3"});
  EXPECT_NE(changed.find("stage 'reasoning'"), std::string::npos) << changed;
  EXPECT_NE(changed.find("its configuration is another now"), std::string::npos) << changed;
  // What was made from a stage that is made anew is to be made anew, too.
  fs::remove_all(own_ / "out/reasoning");
  const std::string older = Fail({"--resume"});
  EXPECT_NE(older.find("stage 'rejection': is done, and stage 'reasoning', which it read"),
            std::string::npos)
      << older;
  fs::remove_all(own_ / "out/rejection");
  EXPECT_NE(Fail({"--resume"}).find("stage 'all-round': is done, and stage 'rejection'"),
            std::string::npos);
}

TEST_F(R1Test, AKilledPipelineEndsWithTheSameModel) {
  EXPECT_EQ(Models(Run({"--set", "output=whole"})).size(), 6u);
  // Killed when a stage is under way, and when a model is being measured.
  for (const char* place :
       {"cold-start/checkpoints/step-2", "evaluation/cold-start", "reasoning/checkpoints/step-1",
        "rejection/traces.jsonl", "all-round/log.jsonl", "helpful/log.jsonl", "student/student"}) {
    const bool resumes = fs::exists(own_ / "parts");
    Process process(
        own_.path(),
        Arguments(resumes ? std::vector<std::string>{"--set", "output=parts", "--resume"}
                          : std::vector<std::string>{"--set", "output=parts"}));
    while (!fs::exists(own_ / "parts" / place) && !process.Ended()) std::this_thread::yield();
    EXPECT_TRUE(fs::exists(own_ / "parts" / place)) << place << process.Err();
    process.Signal(SIGKILL);
    process.Wait();
  }
  const json rest = Run({"--set", "output=parts", "--resume"});
  EXPECT_EQ(Models(rest).size(), 6u);
  EXPECT_EQ(Weights("parts"), Weights("whole"));
}

TEST_F(R1Test, AnInterruptedPipelineSaysWhatIsDone) {
  Process process(own_.path(), Arguments());
  while (!fs::exists(own_ / "out/reasoning/log.jsonl") && !process.Ended())
    std::this_thread::yield();
  process.Signal(SIGINT);
  EXPECT_EQ(process.Status(), 130) << process.Err();
  const json part = json::parse(process.Out());
  EXPECT_EQ(part["stages"][0]["done"], true);
  EXPECT_EQ(part["stages"][6]["done"], false);
  EXPECT_EQ(part["interrupted"], true);
  // A stretch of it.
  const json more = Run({"--resume", "--until", "reasoning"});
  EXPECT_EQ(more["stages"][1]["done"], true);
  EXPECT_EQ(more["stages"][2]["done"], false);
  EXPECT_EQ(more["interrupted"], false);
}

TEST_F(R1Test, SaysWhatItWouldDoAndWhatItLacks) {
  const json plan = Run({"--dry-run"});
  EXPECT_EQ(plan["missing"], json::array());
  EXPECT_EQ(plan["stages"][1]["begins_with"], "cold-start");
  EXPECT_EQ(plan["stages"][2]["begins_with"], "");
  EXPECT_FALSE(fs::exists(own_ / "out"));
  const std::string lacks = "stage[3].sft.model.init_from=/no/such/model";
  EXPECT_EQ(Run({"--dry-run", "--set", lacks})["missing"][0], "stage 'all-round': /no/such/model");
  // Before hours of the stages before it.
  EXPECT_NE(Fail({"--set", lacks}).find("stage 'all-round': /no/such/model"), std::string::npos);
  EXPECT_FALSE(fs::exists(own_ / "out"));
  Process until(own_.path(), Arguments({"--until", "nowhere"}));
  EXPECT_EQ(until.Status(), 2);
}

}  // namespace
}  // namespace fathom::test
