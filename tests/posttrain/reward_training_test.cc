// Whole runs that train reward models, and what those are used for.

#include "posttrain/reward_model/reward_training.h"

#include <gtest/gtest.h>

#include "formats/mapped_model.h"
#include "formats/model_source.h"
#include "infer/loaded_model.h"
#include "posttrain/chat_model.h"
#include "posttrain/reward_fixture.h"
#include "posttrain/reward_model/reward_model.h"

namespace fathom::test {
namespace {

class RewardTrainingTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    spdlog::set_level(spdlog::level::err);
    pretrained_ = std::make_unique<TemporaryDirectory>();
    WriteLanguage(*pretrained_ / "texts", 40, 40);
    RunPretraining(TinyRun(pretrained_->path(), {"steps=30"}));
  }
  static void TearDownTestSuite() { pretrained_.reset(); }
  static fs::path Model() { return *pretrained_ / "run/model"; }

  void Write(const std::string& rows) { WriteFileAtomically(directory_ / "rows.jsonl", rows); }
  RewardConfig Config(const Settings& settings = {}) {
    return TinyRewardConfig(Model(), directory_.path(), settings);
  }
  std::vector<nlohmann::json> HeldOut(const RewardConfig& config) {
    std::vector<nlohmann::json> lines;
    std::istringstream text(ReadFile(config.output / "held-out.jsonl"));
    for (std::string line; std::getline(text, line);) lines.push_back(nlohmann::json::parse(line));
    return lines;
  }

  static inline std::unique_ptr<TemporaryDirectory> pretrained_;
  TemporaryDirectory directory_;
};

TEST_F(RewardTrainingTest, PreferencesAreLearnt) {
  Write(PreferenceRows(400, "nopqrst", "0123456"));
  const RewardConfig config = Config({"centering=0.01"});
  const RewardSummary summary = TrainReward(config);
  ASSERT_TRUE(summary.held_out);
  EXPECT_GT(summary.held_out->accuracy.value, 0.9);
  EXPECT_LT(summary.held_out->accuracy.low, summary.held_out->accuracy.value);
  EXPECT_GT(summary.held_out_examples, 40);
  EXPECT_LT(summary.training.best_score, summary.training.start_score);

  const auto steps = Log(config, "step");
  ASSERT_EQ(steps.size(), 24);
  for (const char* part : {"loss", "preference", "centering", "pair_accuracy", "score_difference"})
    EXPECT_TRUE(steps.back().contains(part)) << part;
  EXPECT_GT(steps.back().at("examples"), 1);
  const auto result = Log(config, "result")[0];
  EXPECT_EQ(result.at("pair_accuracy"), summary.held_out->accuracy.value);
  EXPECT_EQ(result.at("held_out_examples"), summary.held_out_examples);

  // Most wrong first, and all of it in the report's viewer.
  const auto held_out = HeldOut(config);
  ASSERT_EQ(held_out.size(), summary.held_out_examples);
  double before = -1e9;
  for (const auto& line : held_out) {
    const double difference =
        line.at("chosen_score").get<double>() - line.at("rejected_score").get<double>();
    EXPECT_GE(difference, before);
    before = difference;
  }
  const std::string report = ReadFile(config.output / "report.html");
  EXPECT_NE(report.find("most wrong first"), std::string::npos);
  EXPECT_NE(report.find("held-out pairs, share right"), std::string::npos);

  // The model on the disk has the scores that the trainer saw, to the bit: weights are f32, and the
  // trainer computed in inference's form.
  TestRun run(CreateCpuBackend(), 1);
  RewardModel model(run.context(), config.output / "model", std::nullopt, 512, true);
  const ModelConfig read = ReadModelConfig(config.output / "model");
  EXPECT_EQ(read.num_labels, 1);
  EXPECT_EQ(read.num_nextn_predict_layers, 0);
  const RowCorpus none;
  for (size_t i = 0; i < held_out.size(); i += 7) {
    // The prompt is what the two texts share, the question's end and the template with it.
    const ChatModel chat = ChatModel::Open(config.output / "model");
    const std::string prompt = held_out[i].at("prompt");
    const char letter = prompt[prompt.find('?') - 1];
    const std::string chosen = held_out[i].at("chosen");
    const nlohmann::json row = {{"prompt", std::string(1, letter) + "?"},
                                {"completion", chosen.substr(0, 1)}};
    const ScoredRow text = ReadScoredRow(JsonDocument(row.dump(), "row").root(),
                                         ScoreKind::kPointwise, model.encoder(), false);
    EXPECT_EQ(static_cast<float>(model.Score(text.texts)[0]),
              held_out[i].at("chosen_score").get<float>());
  }
}

TEST_F(RewardTrainingTest, LabelsAreLearnt) {
  Write(PreferenceRows(500, "nopqrst", "0123456", /*pairs=*/false));
  const RewardConfig config = Config({"kind=pointwise"});
  const RewardSummary summary = TrainReward(config);
  ASSERT_TRUE(summary.held_out);
  EXPECT_GT(summary.held_out->accuracy.value, 0.9);
  EXPECT_GT(summary.held_out->auc, 0.95);
  EXPECT_TRUE(Log(config, "step").back().contains("label_accuracy"));
  EXPECT_EQ(Log(config, "result")[0].at("auc"), summary.held_out->auc);
  EXPECT_TRUE(HeldOut(config)[0].contains("probability"));
}

TEST_F(RewardTrainingTest, AResumedRunEndsTheSame) {
  Write(PreferenceRows(200, "nopqrst", "0123456"));
  const RewardConfig whole = Config({"output=whole"});
  TrainReward(whole);
  const RewardConfig parts = Config({"output=parts"});
  TrainReward(Config({"output=parts", "steps=9"}));
  TrainReward(parts, {.resume = true}, /*threads=*/1);
  for (const char* file : {"model/model.safetensors", "model/config.json", "held-out.jsonl"})
    ExpectSameFiles(parts.output / file, whole.output / file);
  // In micro-batches the sums are others, and the same examples.
  const RewardConfig small = Config({"output=small", "micro_batch_tokens=128", "steps=1"});
  const RewardConfig once = Config({"output=once", "steps=1"});
  TrainReward(small);
  TrainReward(once);
  const auto a = Log(small, "step")[0], b = Log(once, "step")[0];
  EXPECT_EQ(a.at("examples"), b.at("examples"));
  EXPECT_NEAR(a.at("loss"), b.at("loss").get<double>(), 1e-6);
  EXPECT_NEAR(a.at("grad_norm"), b.at("grad_norm").get<double>(),
              1e-4 * b.at("grad_norm").get<double>());
  // And a reward model can be trained further.
  const RewardSummary more = TrainReward(
      Config({"output=more", "steps=1", "model.init_from=" + (whole.output / "model").string()}));
  EXPECT_EQ(more.training.start_score, Log(whole, "validation").back().at("loss"));
}

TEST_F(RewardTrainingTest, WhatCannotWorkIsSaid) {
  Write(PreferenceRows(20, "a", "b") + R"({"prompt": "why?", "chosen": "so"})" + "\n");
  EXPECT_ERROR(TrainReward(Config()), "rows.jsonl:21");
  EXPECT_ERROR(TrainReward(Config()), "rejected");
  EXPECT_EQ(RewardStages(Config({"data.source=[{path=\"rows.jsonl\", skip_bad_lines=true}]"}),
                         *TestRun(CreateCpuBackend()).context().pool, true)[0]
                .steps,
            24);
  EXPECT_ERROR(Config({"sample.every=3"}), "sample.every");
  EXPECT_ERROR(Config({"kind=pointwise", "centering=1"}), "centering");
  EXPECT_ERROR(Config({"kind=triples"}), "pairwise");
  EXPECT_ERROR(Config({"lora.rank=4"}), "lora");
  TestRun run(CreateCpuBackend(), 1);
  EXPECT_ERROR(RewardModel(run.context(), Model(), std::nullopt, 64, true),
               "has no head that scores");
}

TEST_F(RewardTrainingTest, AModelThatScoresWritesNothing) {
  Write(PreferenceRows(40, "a", "b"));
  const RewardConfig config = Config({"steps=1", "checkpoint.best=false"});
  TrainReward(config);
  EXPECT_ERROR(LoadedModel(config.output / "model"), "is a reward model");
  EXPECT_ERROR(ChatModel::OpenWriter(config.output / "model"), "is a reward model");
}

// A model whose head is not finite, and completions of any kind.
TEST_F(RewardTrainingTest, NotANumberAndTooLongAreCounted) {
  Write(PreferenceRows(40, "a", "b"));
  const RewardConfig config = Config({"steps=1", "checkpoint.best=false"});
  TrainReward(config);
  TaskProblem problem;
  problem.messages = {{.role = "user", .content = "a?"}};
  const Completion plain{.text = "<think>hm</think>yes"}, unfinished{.text = "<think>hm"},
      endless{.text = std::string(3000, 'x')};
  const RewardInput inputs[] = {{&problem, &plain}, {&problem, &unfinished}, {&problem, &endless}};

  TestRun run(CreateCpuBackend(), 1);
  const auto score = [&](const fs::path& model, ScoredPart part, int64_t batch_tokens = 128) {
    RewardSet set;
    set.Add(MakeModelReward(std::make_unique<RewardModel>(run.context(), model, std::nullopt,
                                                          batch_tokens, true),
                            "helpful", part),
            2, /*on_failure=*/-3);
    std::vector<Reward> rewards = set.Score(inputs);
    return std::pair(set.count(0, RewardStatus::kNotANumber), rewards);
  };
  const auto [bad, answers] = score(config.output / "model", ScoredPart::kAnswer);
  EXPECT_EQ(bad, 0);
  EXPECT_EQ(answers[0].components[0].status, RewardStatus::kScored);
  EXPECT_DOUBLE_EQ(answers[0].total, 2 * answers[0].components[0].value);
  EXPECT_EQ(answers[1].components[0].status, RewardStatus::kScored);
  EXPECT_EQ(answers[2].components[0].status, RewardStatus::kFailed);
  EXPECT_EQ(answers[2].total, -6);
  // The thoughts are part of what is read, or they are not.
  const auto whole = score(config.output / "model", ScoredPart::kWhole).second;
  EXPECT_NE(whole[0].total, answers[0].total);

  const ModelConfig model = ReadModelConfig(config.output / "model");
  ParameterStore store(model, DType::kF32, HostAllocator());
  LoadMasters(config.output / "model", model, store);
  store.Get("score.weight").master.data<float>()[0] = std::nanf("");
  const ChatModel chat = ChatModel::Open(config.output / "model");
  ExportModel(directory_ / "broken", model, store, {.tokenizer = &chat.tokenizer}, DType::kF32);
  const auto [count, broken] = score(directory_ / "broken", ScoredPart::kAnswer);
  EXPECT_EQ(count, 2);
  EXPECT_EQ(broken[0].components[0].status, RewardStatus::kNotANumber);
  EXPECT_EQ(broken[0].total, -6);
}

}  // namespace
}  // namespace fathom::test
