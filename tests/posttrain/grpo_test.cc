// Whole runs of reinforcement learning with a tiny model.

#include "posttrain/grpo/grpo.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "formats/model_directory.h"
#include "posttrain/grpo/grpo_plan.h"
#include "train/trainer_fixture.h"

namespace fathom::test {
namespace {

// The model that all runs begin with has never answered anything: what it says is any token.
// Letters and digits are right, which are a fifth of its vocabulary.
class GrpoTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    spdlog::set_level(spdlog::level::err);
    pretrained_ = std::make_unique<TemporaryDirectory>();
    WriteLanguage(*pretrained_ / "texts", 40, 40);
    RunPretraining(TinyRun(pretrained_->path(), {"steps=30"}));
  }
  static void TearDownTestSuite() { pretrained_.reset(); }

  GrpoTest() {
    std::string text;
    std::vector<std::string> right;
    for (char c = 'a'; c <= 'z'; ++c) right.emplace_back(1, c);
    for (char c = '0'; c <= '9'; ++c) right.emplace_back(1, c);
    for (int i = 0; i < 40; ++i) {
      text +=
          nlohmann::json({{"question", fmt::format("{}?", i)}, {"answer", right}, {"kind", "text"}})
              .dump() +
          "\n";
    }
    WriteFileAtomically(directory_ / "tasks.jsonl", text);
  }

  GrpoConfig Config(Settings settings = {}) {
    settings.insert(settings.begin(), "model.init_from=" + (*pretrained_ / "run/model").string());
    constexpr char kText[] = R"(
      output = "run"
      steps = 8
      batch_tokens = 256
      precision.recipe = "f32"
      optimizer.lr = 0.003
      schedule.warmup_steps = 0
      prompt.think = false
      rollout = {problems = 4, answers = 8, max_tokens = 1}
      reward.extract = "whole"
      validation.every = 4
      checkpoint.every = 3
      [data]
      held_out_fraction = 0.2
      [[data.source]]
      path = "tasks.jsonl"
    )";
    return GrpoConfig::Parse(kText, "grpo.toml", directory_.path(), settings);
  }
  static GrpoSummary Learn(const GrpoConfig& config, bool resume = false, int threads = 2) {
    TestRun run(CreateCpuBackend(), threads);
    return RunGrpo(run.context(), config, {.resume = resume, .quiet = true});
  }

  static inline std::unique_ptr<TemporaryDirectory> pretrained_;
  TemporaryDirectory directory_;
};

TEST_F(GrpoTest, WhatIsRewardedIsLearnt) {
  const GrpoConfig config = Config({"steps=30", "optimizer.lr=0.01"});
  const GrpoSummary summary = Learn(config);
  const auto steps = Log(config, "step");
  ASSERT_EQ(steps.size(), 30);
  EXPECT_LT(steps.front().at("reward"), 0.8);
  EXPECT_GT(steps.back().at("reward"), 0.95);
  EXPECT_EQ(summary.accuracy, 1);
  EXPECT_GT(summary.held_out, 0);
  EXPECT_EQ(steps.back().at("reward"), steps.back().at("accuracy"));
  for (const auto& step : steps) {
    // One update a step: always on policy, to the bit.
    EXPECT_EQ(step.at("deviation"), 0);
    EXPECT_EQ(step.at("clipped"), 0);
  }
  // MTP modules are not trained: of the tiny model one layer has experts.
  EXPECT_EQ(steps.front().at("expert_load").size(), 1);
  EXPECT_GE(steps.front().at("max_violation"), 0);
  EXPECT_EQ(Log(config, "start")[0].at("steps"), 30);
  // The reference is the model that the run began with.
  EXPECT_EQ(steps.front().at("kl"), 0);
  EXPECT_GT(steps.back().at("kl").get<double>() + steps[20].at("kl").get<double>() +
                steps[5].at("kl").get<double>(),
            0);
  EXPECT_TRUE(fs::exists(config.output / "model/model.safetensors"));
  EXPECT_NE(ReadFile(config.output / "report.html").find("mean reward"), std::string::npos);
}

TEST_F(GrpoTest, ARunThatIsResumedEndsTheSame) {
  const Settings settings = {"policy.reference_every=2", "policy.inner_epochs=2",
                             "policy.mini_batches=2"};
  const auto with = [&](Settings more) {
    more.insert(more.end(), settings.begin(), settings.end());
    return Config(more);
  };
  const GrpoConfig whole = with({"output=whole"});
  Learn(whole);
  for (const char* first : {"3", "5"}) {
    SCOPED_TRACE(first);
    const std::string output = std::string("output=parts-") + first;
    Learn(with({output, std::string("steps=") + first}));
    const GrpoConfig parts = with({output});
    Learn(parts, /*resume=*/true, /*threads=*/1);
    ExpectSameFiles(parts.output / "model/model.safetensors",
                    whole.output / "model/model.safetensors");
    ExpectSameFiles(LastCheckpoint(parts) / "trainer/optimizer.safetensors",
                    LastCheckpoint(whole) / "trainer/optimizer.safetensors");
    const auto a = Log(whole, "step"), b = Log(parts, "step");
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      EXPECT_EQ(a[i].at("reward"), b[i].at("reward")) << i;
      EXPECT_EQ(a[i].at("kl"), b[i].at("kl")) << i;
    }
  }
}

// The second update of a step is off policy; a new reference starts at no divergence.
TEST_F(GrpoTest, ReferencesFollowThePolicy) {
  const GrpoConfig config = Config({"policy.reference_every=3", "optimizer.lr=0.01"});
  Learn(config);
  const auto steps = Log(config, "step");
  for (const size_t at : {0, 3, 6}) EXPECT_EQ(steps[at].at("kl"), 0) << at;
  EXPECT_GT(steps[1].at("kl"), 0);
  const GrpoConfig twice =
      Config({"output=twice", "policy.inner_epochs=2", "optimizer.lr=0.01", "steps=2"});
  Learn(twice);
  EXPECT_GT(Log(twice, "step")[0].at("deviation"), 0);
}

// All answers right, or all wrong: nothing to learn, other problems are drawn, and the run goes on.
TEST_F(GrpoTest, GroupsWithoutSpreadAreRefilledAndLearnNothing) {
  WriteFileAtomically(directory_ / "tasks.jsonl",
                      "{\"question\": \"1?\", \"answer\": \"impossible\", \"kind\": \"text\"}\n"
                      "{\"question\": \"2?\", \"answer\": \"impossible\", \"kind\": \"text\"}\n");
  const GrpoConfig config =
      Config({"steps=2", "data.held_out_fraction=0", "rollout.refills=2", "policy.kl=0"});
  const GrpoSummary summary = Learn(config);
  EXPECT_EQ(summary.accuracy, -1);
  const auto steps = Log(config, "step");
  ASSERT_EQ(steps.size(), 2);
  EXPECT_EQ(steps[0].at("groups_without_spread"), 4 * 3);
  EXPECT_EQ(steps[0].at("reward"), 0);
  EXPECT_FALSE(steps[0].contains("ratio"));
  EXPECT_FALSE(Log(config, "result").at(0).contains("accuracy"));
  const WeightFiles before(*pretrained_ / "run/model"), after(config.output / "model");
  for (const std::string& name : before.names())
    EXPECT_EQ(LoadAll(before.Get(name)), LoadAll(after.Get(name))) << name;
}

// A command of the user's is asked, and what it fails at is counted.
TEST_F(GrpoTest, AVerifierJudgesAnswers) {
  WriteFileAtomically(directory_ / "tasks.jsonl",
                      "{\"question\": \"1?\", \"kind\": \"external\"}\n"
                      "{\"question\": \"2?\", \"kind\": \"external\"}\n");
  // Every third answer gets no number.
  const std::string command =
      "n=0; while read -r line; do n=$((n+1)); if [ $((n % 3)) = 0 ]; then echo oops; "
      "elif [ $((n % 3)) = 1 ]; then echo '{\"reward\": 1}'; else echo '{\"reward\": 0}'; fi; done";
  GrpoConfig config = Config({"steps=1", "data.held_out_fraction=0", "policy.kl=0",
                              "rollout.problems=2", "reward.accuracy=0", "reward.verifier=later"});
  config.reward.verifier = command;
  config.reward.verifier_workers = 1;
  config.reward.external_on_failure = -1;
  Learn(config);
  const auto step = Log(config, "step").at(0);
  // A process that writes nonsense is replaced, so that the next one counts from 1 again.
  EXPECT_EQ(step.at("external_failed"), 5);
  EXPECT_EQ(step.at("external"), (6 * 1.0 + 5 * 0.0 + 5 * -1.0) / 16);
}

TEST_F(GrpoTest, WhatIsWrongIsOneClearError) {
  EXPECT_ERROR(Config({"rollout.answer=4"}), "did you mean 'rollout.answers'");
  EXPECT_ERROR(Config({"policy.norm=mean"}), "'mean' is not one of answer, token, constant");
  EXPECT_ERROR(Config({"reward.extract=boxes"}), "reward.extract");
  EXPECT_ERROR(Config({"reward.language_code=tlh"}), "'tlh' is not known");
  EXPECT_ERROR(Learn(Config({"model.init_from=nowhere"})), "nowhere");
  EXPECT_ERROR(Learn(Config({"rollout.max_tokens=64"})), "has no problem to learn from");
  EXPECT_ERROR(Learn(Config({"data.source[0].path=nothing.jsonl"})), "nothing.jsonl");
  EXPECT_ERROR(Config({"reward.accuracy=0"}), "no answer gets any reward");
  WriteFileAtomically(directory_ / "code.jsonl",
                      "{\"question\": \"1?\", \"kind\": \"external\", \"id\": \"first\"}\n");
  EXPECT_ERROR(Learn(Config({"data.source[0].path=code.jsonl"})),
               "problem first: is judged by a command, and there is none");
  Learn(Config({"steps=1"}));
  EXPECT_ERROR(Learn(Config()), "there are checkpoints of a run already");
  EXPECT_ERROR(Learn(Config({"seed=2"}), /*resume=*/true), "are not what the checkpoint was made");
}

TEST_F(GrpoTest, ThePlanHasTheCacheOfAStepsAnswersAndTheReference) {
  TestRun run(CreateCpuBackend(), 1);
  const auto plan = [&](const Settings& settings) {
    const GrpoConfig config = Config(settings);
    const ChatModel model = ChatModel::OpenWriter(config.model.init_from);
    return PlanGrpo(run.context(), config, model, ProblemPool(config, model));
  };
  const GrpoPlan alone = plan({"policy.kl=0"});
  EXPECT_EQ(alone.problems + alone.held_out, 40);
  EXPECT_EQ(alone.answers, 4 * 8);
  EXPECT_EQ(alone.answer_tokens, 4 * 8);
  // Of f32, the MTP module's layer too: an answer fits into one page of 64 tokens, and one more is
  // its group's.
  const ModelConfig model = ReadModelConfig(*pretrained_ / "run/model");
  const int64_t row = (model.kv_lora_rank + model.qk_rope_head_dim) * 4;
  const double page =
      static_cast<double>(64 * row * (model.num_hidden_layers + model.num_nextn_predict_layers));
  EXPECT_EQ(alone.memory[MemoryRole::kCache], 4 * (8 + 1) * page);
  EXPECT_EQ(plan({"policy.kl=0", "rollout.problems=100"}).memory[MemoryRole::kCache],
            100 * (8 + 1) * page);
  const GrpoPlan referred = plan({"policy.kl=0.1"});
  EXPECT_GT(referred.memory[MemoryRole::kPacked], alone.memory[MemoryRole::kPacked]);
  EXPECT_EQ(referred.memory[MemoryRole::kCache], alone.memory[MemoryRole::kCache]);

  GrpoPlan tight = alone;
  tight.available = tight.memory.total();
  const auto refuse = [&] { RefuseWhatDoesNotFit(run.context(), Config(), model, tight); };
  EXPECT_NO_THROW(refuse());
  tight.available -= 1;
  EXPECT_ERROR(refuse(), "rollout.problems, rollout.answers and rollout.max_tokens decide it");
  tight.available = 1e3;
  EXPECT_ERROR(refuse(), "optimizer alone are too large");
}

TEST_F(GrpoTest, ConfigsReadBackAsTheyWereWritten) {
  const std::string text =
      Config({"policy.ratio=answer", "reward.format=0.5", "policy.learn_unfinished=false"})
          .ToToml();
  EXPECT_EQ(GrpoConfig::Parse(text, "again.toml", directory_.path(), {}).ToToml(), text);
}

}  // namespace
}  // namespace fathom::test
