// Whole runs that train adapters beside a frozen model.

#include <gtest/gtest.h>

#include "formats/adapted_source.h"
#include "formats/adapter_directory.h"
#include "formats/convert.h"
#include "infer/loaded_model.h"
#include "model/language_model_loss.h"
#include "posttrain/grpo/grpo.h"
#include "posttrain/sft_fixture.h"
#include "train/training_step.h"

namespace fathom::test {
namespace {

class LoraTest : public SftTest {
 protected:
  SftConfig Lora(Settings settings = {}) {
    settings.insert(settings.begin(), {"lora.rank=4", "lora.alpha=16", "optimizer.lr=0.02"});
    return Config(settings);
  }
  // Losses of a text's tokens, in the form of attention that inference uses.
  static std::vector<double> Losses(TestRun& run, const fs::path& model, Precision precision,
                                    const fs::path& adapter = {}) {
    LoadedModel loaded(model, precision, MtpUse::kNone, adapter);
    loaded.Pack(run.context(), {.pages = 1, .batch_tokens = 16, .logit_rows = 1});
    LossInput input{.sequences = {{.begin = 0, .count = 16}}, .inputs = {{}}, .targets = {{}}};
    for (int32_t i = 0; i < 16; ++i) {
      input.inputs[0].push_back(40 + 7 * i);
      input.targets[0].push_back(47 + 7 * i);
    }
    return TokenLosses(run.context(), loaded.transformer(), input, AttentionForm::kAbsorbed, 1.0);
  }
};

TEST_F(LoraTest, AnswersAreLearntAndTheModelStaysAsItIs) {
  const std::string before = ReadFile(Model() / "model.safetensors");
  const SftConfig config = Lora({"lora.rank=16", "optimizer.lr=0.01", "steps=80"});
  const TrainSummary summary = Tune(config);
  EXPECT_GT(summary.start_score, 6);
  EXPECT_LT(summary.best_score, summary.start_score / 2);
  EXPECT_EQ(ReadFile(Model() / "model.safetensors"), before);
  EXPECT_EQ(summary.model, config.output / "adapter");
  EXPECT_FALSE(fs::exists(config.output / "model"));
  for (const char* file : {"tokenizer.json", "tokenizer_config.json"})
    EXPECT_EQ(ReadFile(summary.model / file), ReadFile(Model() / file)) << file;
  const auto adapter = nlohmann::json::parse(ReadFile(summary.model / kAdapterConfigFile));
  EXPECT_EQ(adapter.at("base_model_name_or_path"), Model().string());
  // rank (in + out) of attention's five projections in two layers.
  const int64_t attention = (32 + 24) + (24 + 2 * 24) + (32 + 24) + (16 + 2 * 32) + (32 + 32);
  EXPECT_EQ(Log(config, "start")[0].at("trained_parameters"), 16 * 2 * attention);
}

// Applied as it is loaded, or merged into files: the same bits, in both types.
TEST_F(LoraTest, AMergedModelIsTheModelWithItsAdapter) {
  const SftConfig config = Lora({"steps=12", "optimizer.lr=0.05"});
  const fs::path adapter = Tune(config).model;
  TestRun run(CreateCpuBackend(), 2);
  const auto convert = [&](const ModelSource& source, WeightType type, const std::string& name) {
    fs::create_directories(directory_ / name);
    Conversion(source, {.type = type}).Write(directory_ / name, *run.context().pool, [](uint64_t) {
    });
    return directory_ / name;
  };
  for (const WeightType type : {WeightType::kF32, WeightType::kBF16}) {
    const bool f32 = type == WeightType::kF32;
    const Precision precision = f32 ? Precision::F32() : Precision::BF16();
    const fs::path base =
        convert(*ModelSource::Open(Model()), type, f32 ? "base-f32" : "base-bf16");
    const auto source = ModelSource::Open(base);
    const AdapterDirectory opened(adapter);
    const fs::path merged =
        convert(AdaptedSource(*source, opened), type, f32 ? "merged-f32" : "merged-bf16");
    const auto expected = Losses(run, base, precision, adapter);
    EXPECT_NE(expected, Losses(run, base, precision));
    EXPECT_EQ(Losses(run, merged, precision), expected);
  }
}

TEST_F(LoraTest, ARunThatIsInterruptedAndResumedEndsTheSame) {
  const SftConfig whole = Lora({"output=whole", "ema_decay=0.9"});
  const TrainSummary expected = Tune(whole);
  for (const int64_t stop : {1, 8, 13}) {
    SCOPED_TRACE(stop);
    SftConfig parts = Lora({fmt::format("output=stopped-{}", stop), "ema_decay=0.9"});
    SftConfig first = parts;
    TrainOptions options;
    Interrupt(first, stop, options);
    EXPECT_TRUE(Tune(first, options).interrupted);
    TrainOptions resume;
    resume.resume = true;
    const TrainSummary summary = Tune(parts, resume, /*threads=*/1);
    EXPECT_EQ(summary.best_step, expected.best_step);
    EXPECT_EQ(summary.start_score, expected.start_score);
    for (const char* file : {"adapter/adapter_model.safetensors", "adapter/adapter_config.json",
                             "adapter-average/adapter_model.safetensors"})
      ExpectSameFiles(parts.output / file, whole.output / file);
    for (const char* file : {"adapter_model.safetensors", "trainer/optimizer.safetensors"})
      ExpectSameFiles(LastCheckpoint(parts) / file, LastCheckpoint(whole) / file);
  }
}

TEST_F(LoraTest, ARunIsResumedBesideItsOwnModelAlone) {
  const auto copy = [&](const char* name) {
    fs::copy(Model(), directory_ / name, fs::copy_options::recursive);
    return "model.init_from=" + (directory_ / name).string();
  };
  const std::string base = copy("base");
  Tune(Lora({"steps=4", base}));
  TrainOptions resume;
  resume.resume = true;
  EXPECT_ERROR(Tune(Lora({"steps=8", base, "lora.rank=5"}), resume),
               "has rank 4 and scale 4, the run has rank 5");
  EXPECT_ERROR(Tune(Lora({"steps=8", base, "lora.targets=['o_proj']"}), resume),
               "has adapters of 10 matrices, the run of 2");
  EXPECT_ERROR(Tune(Config({"steps=8", base}), resume), "the checkpoint has adapters");
  // Other weights in the same place.
  const fs::path weights = directory_ / "base/model.safetensors";
  std::string bytes = ReadFile(weights);
  for (size_t i = bytes.size() / 2; i < bytes.size(); ++i) bytes[i] ^= 1;
  WriteFileAtomically(weights, bytes);
  EXPECT_ERROR(Tune(Lora({"steps=8", base}), resume),
               "has other weights than the model that the run began with");
  Tune(Config({"steps=4", "output=whole"}));
  EXPECT_ERROR(Tune(Lora({"steps=8", "output=whole"}), resume), "the checkpoint has a whole model");
}

TEST_F(LoraTest, WhatIsWrongIsOneClearError) {
  EXPECT_ERROR(Tune(Lora({"lora.targets=['q_porj']"})), "the model has no projection 'q_porj'");
  EXPECT_ERROR(Lora({"lora.dropout=0.1"}), "lora.dropout is 0.1");
  EXPECT_ERROR(Lora({"precision.recipe=fp8"}), "precision.recipe is \"fp8\"");
  EXPECT_ERROR(Lora({"balance.bias_speed=0.001"}), "balance.bias_speed");
  EXPECT_ERROR(Lora({"lora.rnk=3"}), "did you mean 'lora.rank'");
  const std::string text =
      Lora({"lora.targets=['o_proj']", "lora.use_rslora=true", "lora.alpha=6.5"}).ToToml();
  EXPECT_EQ(SftConfig::Parse(text, "again.toml", directory_.path(), {}).ToToml(), text);
}

// Of the same step, whole and with adapters.
TEST_F(LoraTest, ThePlanIsWhatIsMeasured) {
  const auto compare = [&](const SftConfig& config) {
    TestRun run(CreateCpuBackend());
    Context& context = run.context();
    const TrainingStage stage{
        .model = ReadModelConfig(Model()), .steps = 1, .sequence_length = 64, .batch_tokens = 256};
    MemoryPlan plan = PlanTraining(config, {stage}, run.backend(), *context.pool);
    TrainedModel model(config, stage.model, Model(), run.backend().allocator());
    model.Begin(stage.model, *run.context().pool);
    Optimizer optimizer(config.optimizer, model.store(), run.backend().allocator());
    optimizer.Reset(context);
    Transformer transformer(stage.model, config.ModelPrecision(), model.store(),
                            run.backend().allocator());
    TrainingStep step(config, transformer, model.store(), optimizer, run.backend().allocator());
    TokenRows rows;
    rows.Reset(4, 64, stage.model.num_nextn_predict_layers);
    std::fill(rows.targets.begin(), rows.targets.end(), 3);
    for (int64_t row = 0; row < 4; ++row)
      rows.segments.push_back({.row = row, .begin = 0, .length = 64});
    EXPECT_EQ(step.Run(context, rows, 4, 0, 1e-3, 0.1, 0).bad, "");
    EXPECT_EQ(plan[MemoryRole::kWeights], static_cast<double>(model.weight_bytes()));
    EXPECT_EQ(plan[MemoryRole::kGradients], static_cast<double>(model.store().gradient_bytes()));
    EXPECT_EQ(plan[MemoryRole::kOptimizer], static_cast<double>(optimizer.bytes()));
    EXPECT_EQ(plan[MemoryRole::kPacked], static_cast<double>(transformer.packed_bytes()));
    EXPECT_EQ(plan[MemoryRole::kSaved], static_cast<double>(step.saved_bytes()));
    return plan;
  };
  const MemoryPlan whole = compare(Config()), lora = compare(Lora({"lora.rank=1"}));
  for (const MemoryRole role :
       {MemoryRole::kWeights, MemoryRole::kGradients, MemoryRole::kOptimizer})
    EXPECT_LT(lora[role], whole[role] / 4) << Name(role);
  EXPECT_EQ(lora[MemoryRole::kSaved], whole[MemoryRole::kSaved]);
}

// Answers and updates with the same weights, to the bit; references are adapters, too.
TEST_F(LoraTest, ReinforcementLearningIsOnPolicyExactly) {
  // Letters are right.
  std::string text;
  std::vector<std::string> right;
  for (char c = 'a'; c <= 'z'; ++c) right.emplace_back(1, c);
  for (int i = 0; i < 40; ++i) {
    text +=
        nlohmann::json({{"question", fmt::format("{}?", i)}, {"answer", right}, {"kind", "text"}})
            .dump() +
        "\n";
  }
  WriteFileAtomically(directory_ / "tasks.jsonl", text);
  const auto learn = [&](const std::string& output, Settings settings, bool resume, int threads) {
    settings.push_back("output=" + output);
    settings.push_back("model.init_from=" + Model().string());
    constexpr char kText[] = R"(
      steps = 9
      batch_tokens = 256
      optimizer.lr = 0.02
      schedule.warmup_steps = 0
      prompt.think = false
      rollout = {problems = 4, answers = 8, max_tokens = 1}
      reward.extract = "whole"
      validation.every = 0
      checkpoint.every = 3
      policy.reference_every = 4
      lora = {rank = 4, alpha = 16}
      [data]
      held_out_fraction = 0.1
      [[data.source]]
      path = "tasks.jsonl"
    )";
    const GrpoConfig config = GrpoConfig::Parse(kText, "grpo.toml", directory_.path(), settings);
    TestRun run(CreateCpuBackend(), threads);
    RunGrpo(run.context(), config, {.resume = resume, .quiet = true});
    return config;
  };
  for (const char* recipe : {"bf16", "f32"}) {
    SCOPED_TRACE(recipe);
    const std::string precision = std::string("precision.recipe=") + recipe;
    const GrpoConfig whole = learn(std::string("whole-") + recipe, {precision}, false, 2);
    const auto steps = Log(whole, "step");
    ASSERT_EQ(steps.size(), 9);
    double kl = 0;
    for (const auto& step : steps) {
      EXPECT_EQ(step.at("deviation"), 0);
      kl += step.at("kl").get<double>();
    }
    EXPECT_GT(kl, 0);
    for (const size_t at : {0, 4, 8}) EXPECT_EQ(steps[at].at("kl"), 0) << at;
    EXPECT_TRUE(fs::exists(whole.output / "references/step-8" / kAdapterWeightsFile));
    const std::string parts = std::string("parts-") + recipe;
    learn(parts, {precision, "steps=5"}, false, 2);
    const GrpoConfig resumed = learn(parts, {precision}, true, 1);
    ExpectSameFiles(resumed.output / "adapter" / kAdapterWeightsFile,
                    whole.output / "adapter" / kAdapterWeightsFile);
  }
}

}  // namespace
}  // namespace fathom::test
