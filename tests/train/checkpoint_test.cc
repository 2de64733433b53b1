#include "train/checkpoint.h"

#include <gtest/gtest.h>

#include <fstream>

#include "backend/cpu/cpu_backend.h"
#include "base/error.h"
#include "base/file.h"
#include "ops/test_tensors.h"
#include "text/bpe_trainer.h"
#include "train/tiny_run.h"

namespace fathom::test {
namespace {

namespace fs = std::filesystem;

struct State {
  explicit State(const std::string& moments = "f32",
                 const ModelConfig& model_config = TinyRunModel())
      : model(model_config),
        trained(settings, model, /*init_from=*/{}, run.backend().allocator()),
        store(trained.store()),
        optimizer({.moments = moments}, store, run.backend().allocator()),
        average(0.9, store, run.backend().allocator()) {}

  void Fill(uint64_t seed) {
    RandomStream random(seed);
    for (const auto& parameter : store.all()) FillRandom(random, parameter->master);
    for (const auto& s : optimizer.states()) {
      FillRandom(random, s.m);
      FillRandom(random, s.v);
    }
    for (const auto& [parameter, value] : average.averages()) FillRandom(random, value);
  }

  ModelConfig model;
  TestRun run{CreateCpuBackend()};
  TrainingSettings settings;
  TrainedModel trained;
  ParameterStore& store;
  Optimizer optimizer;
  ParameterAverage average;
};

class CheckpointTest : public testing::Test {
 protected:
  CheckpointTest() {
    ThreadPool pool(1);
    const std::string_view text = "abc abc abd";
    tokenizer_ = std::make_unique<Tokenizer>(
        TrainTokenizer(PreTokenizer::DeepSeekV3(), std::span(&text, 1), {.vocab_size = 300}, pool));
  }
  void Save(const State& state, const TrainingProgress& progress, bool average = true) {
    SaveCheckpoint(path(), state.model, state.store, state.optimizer,
                   average ? &state.average : nullptr, {.tokenizer = tokenizer_.get()}, progress);
  }
  TrainingProgress Load(State& state, bool average = true) {
    return LoadCheckpoint(path(), state.model, state.trained, state.optimizer,
                          average ? &state.average : nullptr);
  }
  fs::path path() const { return directory_ / "run/checkpoints/step-7"; }
  static TrainingProgress SomeProgress() {
    return {.step = 7,
            .stage = 1,
            .stage_step = 3,
            .tokens = 12345678901,
            .seconds = 1.0 / 3,
            .loss = 0.1,
            .micro_batch_tokens = 64,
            .data_fingerprint = 0xfedcba9876543210,
            .row_settings = {{"seed", "1"}, {"data.source[0].path", "'/a \"b\"'"}}};
  }

  TemporaryDirectory directory_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_F(CheckpointTest, LoadsBitForBitWhatWasSaved) {
  for (const char* moments : {"f32", "bf16"}) {
    State saved(moments), loaded(moments);
    saved.Fill(1);
    loaded.Fill(2);
    const TrainingProgress given = SomeProgress();
    Save(saved, given);
    const TrainingProgress progress = Load(loaded);
    EXPECT_EQ(progress.step, given.step);
    EXPECT_EQ(progress.stage, given.stage);
    EXPECT_EQ(progress.stage_step, given.stage_step);
    EXPECT_EQ(progress.tokens, given.tokens);
    EXPECT_EQ(progress.seconds, given.seconds);
    EXPECT_EQ(progress.micro_batch_tokens, given.micro_batch_tokens);
    EXPECT_EQ(progress.data_fingerprint, given.data_fingerprint);
    EXPECT_EQ(progress.row_settings, given.row_settings);
    EXPECT_EQ(progress.loss, given.loss);
    for (size_t i = 0; i < saved.store.all().size(); ++i) {
      ExpectSameBits(loaded.store.all()[i]->master, saved.store.all()[i]->master);
      ExpectSameBits(loaded.average.averages()[i].second, saved.average.averages()[i].second);
    }
    for (size_t i = 0; i < saved.optimizer.states().size(); ++i) {
      ExpectSameBits(loaded.optimizer.states()[i].m, saved.optimizer.states()[i].m);
      ExpectSameBits(loaded.optimizer.states()[i].v, saved.optimizer.states()[i].v);
    }
  }
}

TEST_F(CheckpointTest, IsAModelDirectory) {
  State state;
  state.Fill(1);
  Save(state, SomeProgress());
  for (const char* name : {"config.json", "generation_config.json", "model.safetensors",
                           "tokenizer.json", "tokenizer_config.json", "trainer/state.json",
                           "trainer/optimizer.safetensors", "trainer/average.safetensors"}) {
    EXPECT_TRUE(fs::is_regular_file(path() / name)) << name;
  }
  EXPECT_EQ(Tokenizer::Load(path()).fingerprint(), tokenizer_->fingerprint());
}

TEST_F(CheckpointTest, DamagedFilesAreErrorsThatNameThem) {
  State state;
  state.Fill(1);
  for (const char* name : {"config.json", "model.safetensors", "trainer/state.json",
                           "trainer/optimizer.safetensors", "trainer/average.safetensors"}) {
    SCOPED_TRACE(name);
    const bool is_config = std::string(name) == "config.json";
    Save(state, SomeProgress());
    if (!is_config) {  // the run brings its configuration itself
      fs::resize_file(path() / name, fs::file_size(path() / name) / 2);
      EXPECT_ERROR(Load(state), fs::path(name).filename().string());
      std::ofstream(path() / name, std::ios::binary) << "";
      EXPECT_ERROR(Load(state), fs::path(name).filename().string());
      fs::remove(path() / name);
      EXPECT_ERROR(Load(state), std::string(name) == "model.safetensors"
                                    ? path().string()
                                    : fs::path(name).filename().string());
    }
  }
}

TEST_F(CheckpointTest, StateFromElsewhereIsAnError) {
  State state;
  state.Fill(1);
  Save(state, SomeProgress());
  const std::string good = ReadFile(path() / "trainer/state.json");
  const auto with = [&](const std::string& key, const std::string& value) {
    const size_t at = good.find("\"" + key + "\": ") + key.size() + 4;
    const size_t end = good.find_first_of(",\n", at);
    std::ofstream(path() / "trainer/state.json") << good.substr(0, at) + value + good.substr(end);
  };
  with("format", "99");
  EXPECT_ERROR(Load(state), "format 99 is not known");
  for (const char* key : {"step", "stage", "stage_step", "tokens", "micro_batch_tokens"}) {
    SCOPED_TRACE(key);
    with(key, "-1");
    EXPECT_ERROR(Load(state), key);
    with(key, "\"x\"");
    EXPECT_ERROR(Load(state), key);
    with(key, "1e40");
    EXPECT_ERROR(Load(state), key);
  }
}

TEST_F(CheckpointTest, AnotherConfigurationIsAnError) {
  State state;
  state.Fill(1);
  Save(state, SomeProgress(), /*average=*/false);
  EXPECT_ERROR(Load(state), "ema_decay: " + (path() / "trainer/average.safetensors").string());
  EXPECT_ERROR(Load(state), "set it back to 0");
  State bf16("bf16");
  EXPECT_ERROR(Load(bf16, false),
               "resume with the configuration that the checkpoint was made with");
  ModelConfig wider = TinyRunModel();
  wider.intermediate_size += 16;
  State other("f32", wider);
  EXPECT_ERROR(Load(other, false), "mlp");
}

TEST_F(CheckpointTest, TheNewestIsByNumberAndPartialOnesDoNotCount) {
  const fs::path output = directory_ / "run";
  EXPECT_EQ(NewestCheckpoint(output), std::nullopt);
  for (const char* name : {"step-9", "step-10", "step-100.partial", "step-", "step-x", "step-5x",
                           "step-200.replaced", "other"})
    fs::create_directories(output / "checkpoints" / name);
  EXPECT_EQ(NewestCheckpoint(output), output / "checkpoints/step-10");
}

TEST_F(CheckpointTest, PruningKeepsTheNewest) {
  const fs::path output = directory_ / "run", checkpoints = output / "checkpoints";
  PruneCheckpoints(output, 2);  // nothing there
  for (const char* name : {"step-2", "step-10", "step-9", "notes"})
    fs::create_directories(checkpoints / name / "trainer");
  PruneCheckpoints(output, 3);
  EXPECT_TRUE(fs::exists(checkpoints / "step-2"));
  PruneCheckpoints(output, 2);
  EXPECT_FALSE(fs::exists(checkpoints / "step-2"));
  EXPECT_TRUE(fs::exists(checkpoints / "step-9"));
  PruneCheckpoints(output, 1);
  EXPECT_FALSE(fs::exists(checkpoints / "step-9"));
  EXPECT_TRUE(fs::exists(checkpoints / "step-10"));
  EXPECT_TRUE(fs::exists(checkpoints / "notes"));
}

TEST(ParameterAverage, IsAMovingAverage) {
  State state;
  Context& context = state.run.context();
  const Tensor x = state.store.Get("model.norm.weight").master;
  const auto set = [&](double value) {
    for (const auto& parameter : state.store.all())
      StoreAll(parameter->master,
               std::vector<double>(static_cast<size_t>(parameter->master.elements()), value));
  };
  const auto average = [&] {
    for (const auto& [parameter, value] : state.average.averages()) {
      if (parameter->spec.name == "model.norm.weight") return LoadAll(value)[3];
    }
    return -1.0;
  };
  set(1);
  state.average.Reset(context);
  EXPECT_EQ(average(), 1);
  set(2);
  state.average.Update(context);
  EXPECT_NEAR(average(), 1.1, 1e-6);  // 0.9 * 1 + 0.1 * 2
  set(3);
  state.average.Update(context);
  EXPECT_NEAR(average(), 1.29, 1e-6);  // 0.9 * 1.1 + 0.1 * 3
  const double a = average();
  const uint64_t version = state.store.version();
  state.average.Swap(context);
  EXPECT_EQ(LoadAll(x)[3], a);
  EXPECT_EQ(average(), 3);
  EXPECT_NE(state.store.version(), version);  // packed copies are stale
  state.average.Swap(context);
  EXPECT_EQ(LoadAll(x)[3], 3);
  EXPECT_EQ(average(), a);
}

}  // namespace
}  // namespace fathom::test
