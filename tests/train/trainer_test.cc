// Whole runs of a tiny model.

#include "train/pretraining.h"

#include <gtest/gtest.h>
#include <zstd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "formats/mapped_model.h"
#include "formats/model_directory.h"
#include "text/bpe_trainer.h"
#include "text/special_tokens.h"
#include "train/evaluation.h"
#include "train/optimizer.h"
#include "train/trainer_fixture.h"

namespace fathom::test {
namespace {

TEST_F(TrainerTest, LearnsALanguageToItsEntropyAndNotBelow) {
  fs::remove_all(directory_ / "texts");
  constexpr int kWords = 60;
  WriteLanguage(directory_ / "texts", 300, kWords);
  const RunConfig config = Config({"steps=250", "batch_tokens=512", "validation.every=100",
                                   "validation.byte_baseline=true", "checkpoint.every=0",
                                   "optimizer.lr=0.02", "data.sequence_length=128"});
  const PretrainingSummary summary = RunPretraining(config);
  EXPECT_FALSE(summary.interrupted);
  EXPECT_EQ(summary.step, 250);
  EXPECT_EQ(summary.tokens, 250 * 512);
  // Nobody can do better than the language's entropy (a model that did would have seen what it
  // predicts); this one has to come close.
  const double entropy = LanguageBits(kWords) / (7.0 * kWords);  // 0.148 bits a byte
  EXPECT_GT(summary.bits_per_byte, 0.99 * entropy);
  EXPECT_LT(summary.bits_per_byte, 1.25 * entropy);
  // Four bytes of history say nothing about the next letter: 3 bits a word.
  EXPECT_GT(summary.baseline_bits_per_byte, 0.98 * 3 / 7);
  EXPECT_LT(summary.baseline_bits_per_byte, 1.1 * 3 / 7);
  const auto validations = Log(config, "validation");
  ASSERT_EQ(validations.size(), 2);
  EXPECT_GT(validations[0].at("bits_per_byte"), summary.bits_per_byte);
  const auto result = Log(config, "result");
  ASSERT_EQ(result.size(), 1);
  EXPECT_EQ(result[0].at("bits_per_byte"), summary.bits_per_byte);
  EXPECT_GT(result[0].at("held_out_documents"), 30);
  EXPECT_EQ(result[0].at("held_out_bytes"),
            result[0].at("held_out_documents").get<int64_t>() * 7 * kWords);
  EXPECT_TRUE(fs::exists(summary.model / "model.safetensors"));
}

TEST_F(TrainerTest, LogsEveryStep) {
  const RunConfig config = Config({"schedule.decay_fraction=0.5"});
  RunPretraining(config);
  const auto steps = Log(config, "step");
  ASSERT_EQ(steps.size(), 12);
  for (int i = 0; i < 12; ++i) {
    const nlohmann::json& line = steps[static_cast<size_t>(i)];
    EXPECT_EQ(line.at("step"), i + 1);
    EXPECT_EQ(line.at("tokens"), 256 * (i + 1));
    EXPECT_DOUBLE_EQ(line.at("lr"), LearningRate(config.schedule, config.optimizer.lr, i, 12));
    EXPECT_GT(line.at("loss"), 0);
    EXPECT_GT(line.at("grad_norm"), 0);
    EXPECT_EQ(line.at("mtp_loss").size(), 1);
    EXPECT_GT(line.at("balance_loss"), 0);
    EXPECT_GE(line.at("max_violation"), 0);
  }
  EXPECT_LT(steps.back().at("loss"), steps.front().at("loss"));
}

// The tiny model has experts in its second layer and in its MTP module.
TEST_F(TrainerTest, LogsTheLoadOfEveryExpertNowAndThen) {
  const RunConfig config = Config({"balance.load_entries=3"});
  RunPretraining(config);
  const auto start = Log(config, "start").at(0);
  EXPECT_EQ(start.at("steps"), 12);
  EXPECT_EQ(start.at("layers"), 2);
  EXPECT_EQ(start.at("expert_layers"), (nlohmann::json{1, 2}));
  std::vector<int64_t> logged;
  for (const nlohmann::json& line : Log(config, "step")) {
    if (!line.contains("expert_load")) continue;
    logged.push_back(line.at("step"));
    const nlohmann::json& load = line.at("expert_load");
    ASSERT_EQ(load.size(), 2);
    double most = 0;
    for (const nlohmann::json& layer : load) {
      ASSERT_EQ(layer.size(), 4);
      double sum = 0;
      for (const double share : layer) {
        sum += share;
        most = std::max(most, share);
      }
      EXPECT_NEAR(sum, 4, 0.03);
    }
    EXPECT_NEAR(line.at("max_violation").get<double>(), most - 1, 0.01);
  }
  EXPECT_EQ(logged, (std::vector<int64_t>{1, 4, 8, 12}));
  const RunConfig none = In("none", {"balance.load_entries=0"});
  RunPretraining(none);
  for (const nlohmann::json& line : Log(none, "step")) EXPECT_FALSE(line.contains("expert_load"));
  ExpectSameEnd(config, none);
}

TEST_F(TrainerTest, SaysHowOftenEachSourceIsRead) {
  // 40 documents of 40 words, a fifth of them held out; 12 steps of 4 rows of 64 tokens.
  CapturedWarnings warnings;
  const RunConfig config = Config();
  RunPretraining(config);
  const auto start = Log(config, "start");
  ASSERT_EQ(start.size(), 1);
  const nlohmann::json& source = start[0].at("sources").at(0);
  EXPECT_EQ(source.at("name"), (directory_ / "texts").string());
  const int64_t tokens = source.at("tokens"), documents = source.at("documents");
  EXPECT_EQ(documents + source.at("held_out_documents").get<int64_t>(), 40);
  // Each document has a begin and an end token, and an epoch is rows of 64.
  const double rows = std::ceil(static_cast<double>(tokens + 2 * documents - 1) / 64);
  EXPECT_DOUBLE_EQ(source.at("epochs"), 48 / rows);
  EXPECT_EQ(warnings.text(), "");
  RunPretraining(In("longer", {"steps=200"}));
  EXPECT_NE(warnings.text().find(fmt::format("will be read {:.1f} times", 800 / rows)),
            std::string::npos)
      << warnings.text();
}

TEST_F(TrainerTest, PreparingStopsWhenAskedTo) {
  const RunConfig config = Config();
  ThreadPool pool(2);
  InterruptGuard guard;
  std::raise(SIGINT);
  EXPECT_ERROR(PrepareRun(config, pool, true), "was interrupted");
  const std::vector<std::string_view> documents = {"some text and some more text"};
  EXPECT_ERROR(TrainTokenizer(PreTokenizer::DeepSeekV3(), documents, {}, pool),
               "tokenizer training: was interrupted");
}

TEST_F(TrainerTest, TheFirstLogLineIsWhatTheConfigurationSays) {
  // config.toml of the run directory is the whole configuration: a run from it is the same run.
  const RunConfig config = Config();
  RunPretraining(config);
  RunConfig again = RunConfig::Load(config.output / "config.toml", {});
  EXPECT_EQ(again.output, config.output);
  again.output = directory_ / "again";
  RunPretraining(again);
  ExpectSameEnd(config, again);
}

TEST_F(TrainerTest, BalancingAndTheMtpWeightSwitchAtTheirSteps) {
  const RunConfig config =
      Config({"steps=8", "checkpoint.every=1", "checkpoint.keep=100", "balance.bias_speed=0.25",
              "balance.bias_stop_fraction=0.5", "mtp.weight=0.7", "mtp.late_weight=0.2",
              "mtp.switch_fraction=0.3"});
  RunPretraining(config);
  const auto biases = [&](int step) {
    const WeightFiles files(config.output / "checkpoints" / fmt::format("step-{}", step));
    return LoadAll(files.Get("model.layers.1.mlp.gate.e_score_correction_bias"));
  };
  std::vector<double> before(4);
  for (int step = 1; step <= 8; ++step) {
    const std::vector<double> now = biases(step);
    if (step <= 4) {
      for (size_t e = 0; e < 4; ++e)
        EXPECT_TRUE(std::abs(now[e] - before[e]) == 0.25 || now[e] == before[e]) << step;
      EXPECT_NE(now, before) << step;
    } else {
      EXPECT_EQ(now, before) << step;  // steps 0 to 3 of 8 are before the half
    }
    before = now;
  }
  const auto steps = Log(config, "step");
  for (int i = 0; i < 8; ++i)
    EXPECT_EQ(steps[static_cast<size_t>(i)].at("mtp_weight"), i < 3 ? 0.7 : 0.2) << i;
}

TEST_F(TrainerTest, ARunThatIsInterruptedAndResumedEndsTheSame) {
  RunConfig whole = In("whole", {"ema_decay=0.5"});
  RunPretraining(whole);
  for (const int64_t stop : {1, 6, 8}) {
    SCOPED_TRACE(stop);
    RunConfig parts = In(fmt::format("stopped-{}", stop), {"ema_decay=0.5"});
    TrainOptions options;
    RunConfig first = parts;
    Interrupt(first, stop, options);
    const PretrainingSummary summary = RunPretraining(first, options);
    EXPECT_TRUE(summary.interrupted);
    EXPECT_EQ(summary.step, stop);
    EXPECT_EQ(LastCheckpoint(parts).filename(), fmt::format("step-{}", stop));
    EXPECT_FALSE(fs::exists(parts.output / "model"));
    EXPECT_EQ(Resume(parts, /*threads=*/1).step, 12);
    ExpectSameEnd(parts, whole);
    ExpectSameFiles(parts.output / "model-average/model.safetensors",
                    whole.output / "model-average/model.safetensors");
    const auto a = Log(whole, "step"), b = Log(parts, "step");
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      EXPECT_EQ(a[i].at("step"), b[i].at("step"));
      EXPECT_EQ(a[i].at("loss"), b[i].at("loss"));
      EXPECT_EQ(a[i].at("tokens"), b[i].at("tokens"));
    }
  }
  EXPECT_FALSE(ReadFile(whole.output / "model-average/model.safetensors") ==
               ReadFile(whole.output / "model/model.safetensors"));
}

// With a balance loss, whose gradient goes through either kind of score, and a stage of YaRN.
TEST_F(TrainerTest, OtherFamiliesTrainAndResumeToo) {
  const Settings settings = {
      "balance.sequence_alpha=0.01", "steps=8",
      "extension=[{sequence_length=128,batch_tokens=256,steps=3,lr=1e-3,factor=2}]"};
  for (const ModelConfig& model : {TinyV2Run(), TinyQwen2Run()}) {
    SCOPED_TRACE(std::string(Name(model.family)));
    const auto in = [&](const char* output) {
      Settings all = settings;
      all.push_back(fmt::format("output={}-{}", Name(model.family), output));
      return Config(all, model);
    };
    const RunConfig whole = in("whole"), parts = in("parts");
    RunPretraining(whole);
    const auto steps = Log(whole, "step");
    EXPECT_LT(steps[7].at("loss"), 0.8 * steps[0].at("loss").get<double>());
    RunConfig first = parts;
    TrainOptions options;
    Interrupt(first, 5, options);
    EXPECT_TRUE(RunPretraining(first, options).interrupted);
    EXPECT_EQ(Resume(parts, /*threads=*/1).step, 11);
    ExpectSameEnd(parts, whole);
    const ModelConfig trained = ReadModelConfig(whole.output / "model");
    EXPECT_EQ(trained.family, model.family);
    EXPECT_EQ(trained.tie_word_embeddings, model.tie_word_embeddings);
    EXPECT_TRUE(std::holds_alternative<YarnScaling>(trained.rope_scaling));
  }
}

TEST_F(TrainerTest, AnInterruptInTheLastStepFinishesTheRun) {
  RunConfig config = Config();
  TrainOptions options;
  Interrupt(config, 12, options);
  const PretrainingSummary summary = RunPretraining(config, options);
  EXPECT_FALSE(summary.interrupted);
  EXPECT_TRUE(fs::exists(config.output / "model/model.safetensors"));
}

TEST_F(TrainerTest, AFinishedRunResumedStaysAsItIs) {
  const RunConfig config = Config();
  const PretrainingSummary first = RunPretraining(config);
  const std::string model = ReadFile(config.output / "model/model.safetensors");
  const PretrainingSummary again = Resume(config);
  EXPECT_EQ(again.step, 12);
  EXPECT_EQ(again.bits_per_byte, first.bits_per_byte);
  EXPECT_EQ(again.loss, first.loss);
  EXPECT_TRUE(ReadFile(config.output / "model/model.safetensors") == model);
  EXPECT_EQ(Log(config, "step").size(), 12);
  EXPECT_EQ(Log(config, "result").size(), 1);
}

TEST_F(TrainerTest, StagesOfContextExtension) {
  const std::string stages =
      "extension=[{steps=4, sequence_length=128, batch_tokens=256, factor=2, lr=1e-3}, "
      "{steps=3, sequence_length=256, batch_tokens=256, factor=4, lr=5e-4}]";
  const Settings settings = {"steps=5", stages, "checkpoint.every=0"};
  const RunConfig whole = In("whole", settings);
  const PretrainingSummary summary = RunPretraining(whole);
  EXPECT_EQ(summary.step, 12);
  const auto steps = Log(whole, "step");
  ASSERT_EQ(steps.size(), 12);
  for (size_t i = 5; i < 9; ++i) EXPECT_EQ(steps[i].at("lr"), 1e-3);
  for (size_t i = 9; i < 12; ++i) EXPECT_EQ(steps[i].at("lr"), 5e-4);
  const ModelConfig model = ReadModelConfig(whole.output / "model");
  const auto* yarn = std::get_if<YarnScaling>(&model.rope_scaling);
  ASSERT_NE(yarn, nullptr);
  EXPECT_EQ(yarn->factor, 4);
  EXPECT_EQ(yarn->original_max_position_embeddings, 64);
  EXPECT_EQ(model.max_position_embeddings, 256);

  for (const int64_t stop : {3, 5, 7, 9, 11}) {  // 5 and 9 are the borders
    SCOPED_TRACE(stop);
    const RunConfig parts = In(fmt::format("stopped-{}", stop), settings);
    RunConfig first = parts;
    TrainOptions options;
    Interrupt(first, stop, options);
    EXPECT_EQ(RunPretraining(first, options).step, stop);
    Resume(parts);
    ExpectSameEnd(parts, whole);
  }
}

// ---- Numbers that are not finite

TEST_F(TrainerTest, NumbersThatAreNotFiniteStopTheRunAndSpareTheCheckpoints) {
  // Decay of 1e5 a step: the parameters overflow within ten steps.
  const RunConfig config = Config({"steps=50", "optimizer.lr=1000", "optimizer.weight_decay=100",
                                   "schedule.type=constant", "schedule.warmup_steps=0",
                                   "checkpoint.every=1", "checkpoint.keep=1"});
  std::string message;
  try {
    RunPretraining(config);
    FAIL() << "no Error";
  } catch (const Error& error) {
    message = error.what();
  }
  const size_t good_steps = Log(config, "step").size();
  EXPECT_NE(message.find(fmt::format("step {}:", good_steps + 1)), std::string::npos) << message;
  EXPECT_NE(message.find("the first bad tensor is "), std::string::npos) << message;
  EXPECT_NE(message.find(LastCheckpoint(config).string()), std::string::npos) << message;
  // What is kept can be gone on with.
  const WeightFiles files(LastCheckpoint(config));
  for (const std::string& name : files.names()) {
    for (const double value : LoadAll(files.Get(name))) ASSERT_TRUE(std::isfinite(value)) << name;
  }
  EXPECT_NE(Log(config, "step").back().at("loss").type(), nlohmann::json::value_t::null);
}

TEST_F(TrainerTest, APoisonedCheckpointIsNamedAtTheFirstStep) {
  const RunConfig config = Config();
  TrainOptions options;
  RunConfig first = config;
  Interrupt(first, 6, options);
  RunPretraining(first, options);
  {
    // One NaN in the middle of one tensor of the newest checkpoint.
    const fs::path path = LastCheckpoint(config) / "model.safetensors";
    std::string bytes = ReadFile(path);
    const SafetensorsFile file(path);
    const auto* tensor =
        static_cast<const char*>(file.Get("model.layers.0.mlp.up_proj.weight").raw());
    const auto* begin = static_cast<const char*>(file.Get(file.entries().begin()->first).raw()) -
                        file.entries().begin()->second.begin;
    const size_t header = bytes.size() - [&] {
      uint64_t end = 0;
      for (const auto& [name, entry] : file.entries()) end = std::max(end, entry.end);
      return end;
    }();
    const float nan = std::numeric_limits<float>::quiet_NaN();
    std::memcpy(bytes.data() + header + (tensor - begin) + 400, &nan, 4);
    fs::remove(path);
    std::ofstream(path, std::ios::binary) << bytes;
  }
  EXPECT_ERROR(Resume(config), "step 7: the loss or its gradient is not finite");
  EXPECT_ERROR(Resume(config), "parameter model.layers.0.mlp.up_proj.weight");
  EXPECT_EQ(LastCheckpoint(config).filename(), "step-6");
}

// ---- Data

TEST_F(TrainerTest, TextJsonlAndZstdAreTheSameDocuments) {
  std::string lines;
  for (int i = 0; i < 40; ++i) {
    lines +=
        nlohmann::json{{"text", LanguageDocument(40, MixKey(0, static_cast<uint64_t>(i)))}}.dump() +
        "\n";
  }
  fs::create_directories(directory_ / "lines");
  std::ofstream(directory_ / "lines/a.jsonl") << lines;
  std::string packed(ZSTD_compressBound(lines.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), lines.data(), lines.size(), 3));
  std::ofstream(directory_ / "packed.jsonl.zst", std::ios::binary) << packed;
  const RunConfig config =
      Config({"data.source=[{path='texts', weight=2}, {path='lines', name='lines'}, "
              "{path='packed.jsonl.zst', weight=1}]",
              "steps=8", "validation.every=4"});
  ThreadPool pool(2);
  const RunInputs inputs = PrepareRun(config, pool, true);
  ASSERT_EQ(inputs.corpora.size(), 3);
  for (const TokenCorpus& corpus : inputs.corpora) {
    EXPECT_EQ(corpus.train->documents() + corpus.held_out->documents(), 40) << corpus.name;
    EXPECT_EQ(corpus.train->bytes() + corpus.held_out->bytes(), 40 * 280) << corpus.name;
  }
  TrainingRows rows = MakeTrainingRows(config, inputs, 0);
  const auto use = rows.UseAfter(32);
  EXPECT_EQ(use[0].rows, 16);
  EXPECT_EQ(use[1].rows, 8);
  EXPECT_EQ(use[2].rows, 8);
  EXPECT_GT(RunPretraining(config).bits_per_byte, 0);
}

TEST_F(TrainerTest, FillInTheMiddleMarksItsDocuments) {
  const RunConfig config = Config({"data.fim_rate=0.5", "steps=2"});
  ThreadPool pool(2);
  const RunInputs inputs = PrepareRun(config, pool, true);
  TrainingRows rows = MakeTrainingRows(config, inputs, 0);
  TokenRows batch;
  rows.Read(0, static_cast<int64_t>(rows.UseAfter(0)[0].epoch_rows), batch);
  // Each token of an epoch is a target once.
  const auto count = [&](const char* token) {
    const int32_t id = inputs.tokenizer->RequireAddedTokenId(token);
    return std::count(batch.targets.begin(), batch.targets.begin() + batch.rows * batch.length, id);
  };
  EXPECT_GT(count(kFimBegin), 8);
  EXPECT_LT(count(kFimBegin), 24);
  EXPECT_EQ(count(kFimHole), count(kFimEnd));
  EXPECT_EQ(RunPretraining(config).step, 2);
}

TEST_F(TrainerTest, NothingHeldOutIsSaidAndDoesNoHarm) {
  const RunConfig config =
      Config({"data.held_out_fraction=0", "validation.every=4", "validation.byte_baseline=true"});
  CapturedWarnings warnings;
  const PretrainingSummary summary = RunPretraining(config);
  EXPECT_NE(warnings.text().find("no document is held out"), std::string::npos) << warnings.text();
  EXPECT_EQ(summary.step, 12);
  EXPECT_EQ(summary.bits_per_byte, 0);
  EXPECT_EQ(summary.baseline_bits_per_byte, 0);
  EXPECT_TRUE(Log(config, "validation").empty());
  EXPECT_TRUE(fs::exists(config.output / "model/model.safetensors"));
}

TEST_F(TrainerTest, TextThatIsNotUtf8IsSaidOnceASource) {
  std::ofstream(directory_ / "texts/1-latin.txt") << "caf\xE9 " << LanguageDocument(40, 7);
  std::ofstream(directory_ / "texts/2-latin.txt") << "na\xEFve " << LanguageDocument(40, 8);
  CapturedWarnings warnings;
  RunPretraining(Config({"steps=1"}));
  const std::string said = warnings.text();
  EXPECT_NE(said.find(": 2 of "), std::string::npos) << said;
  EXPECT_NE(said.find("files: not UTF-8, the first is 1-latin.txt"), std::string::npos) << said;
}

TEST_F(TrainerTest, OneDocumentIsTrainedOn) {
  fs::remove_all(directory_ / "texts");
  WriteLanguage(directory_ / "texts", 1, 1000);
  CapturedWarnings warnings;
  const PretrainingSummary summary = RunPretraining(Config({"data.held_out_fraction=0.02"}));
  EXPECT_EQ(summary.step, 12);
  EXPECT_NE(warnings.text().find("no document is held out"), std::string::npos) << warnings.text();
}

TEST_F(TrainerTest, EverythingHeldOutIsAnErrorThatSaysSo) {
  // The one document's name decides; some seed holds it out.
  fs::remove_all(directory_ / "texts");
  WriteLanguage(directory_ / "texts", 1, 1000);
  int errors = 0;
  for (int seed = 0; seed < 6; ++seed) {
    const RunConfig config =
        In(fmt::format("run-{}", seed),
           {"data.held_out_fraction=0.9", "steps=1", fmt::format("seed={}", seed)});
    try {
      RunPretraining(config);
    } catch (const Error& error) {
      ++errors;
      EXPECT_NE(std::string(error.what()).find("holds no document to train on"), std::string::npos)
          << error.what();
    }
  }
  EXPECT_GT(errors, 0);
}

TEST_F(TrainerTest, ALargeSingleFileStillTrainsATokenizer) {
  // One document, much larger than what the tokenizer may read: a part of it is read.
  fs::remove_all(directory_ / "texts");
  WriteLanguage(directory_ / "texts", 1, 40000);
  const RunConfig config =
      Config({"tokenizer.train_bytes=20000", "data.held_out_fraction=0", "steps=1"});
  ThreadPool pool(2);
  const RunInputs inputs = PrepareRun(config, pool, true);
  // Words were learnt: 28 bytes are not 28 tokens.
  EXPECT_LT(inputs.tokenizer->Encode("awxyz. bwxyz. cwxyz. dwxyz. ").size(), 20);
}

TEST_F(TrainerTest, ACorpusThatIsTooSmallIsAnErrorBeforeAnythingIsTrained) {
  fs::remove_all(directory_ / "texts");
  WriteLanguage(directory_ / "texts", 1, 3);
  const RunConfig config = Config({"data.held_out_fraction=0"});
  EXPECT_ERROR(RunPretraining(config), "is too small for one row");
  fs::remove_all(directory_ / "run");
  fs::remove_all(directory_ / "texts");
  WriteLanguage(directory_ / "texts", 3, 40);
  EXPECT_ERROR(RunPretraining(Config({"data.held_out_fraction=0", "batch_tokens=64000"})),
               "is too small for one batch");
  // That of a later stage too: not after the steps of the first.
  const RunConfig extended =
      In("extended",
         {"data.held_out_fraction=0",
          "extension=[{steps=1, sequence_length=4096, batch_tokens=8192, factor=2, lr=1}]"});
  EXPECT_ERROR(RunPretraining(extended), "is too small");
  EXPECT_FALSE(NewestCheckpoint(extended.output).has_value());
}

TEST_F(TrainerTest, OtherDataIsRefusedOnResumeAndTheSameIsNot) {
  const RunConfig config = Config();
  RunConfig first = config;
  TrainOptions options;
  Interrupt(first, 6, options);
  RunPretraining(first, options);
  const fs::path checkpoint = LastCheckpoint(config);
  const std::string before = ReadFile(checkpoint / "model.safetensors");
  const std::string text = ReadFile(directory_ / "texts/0003.txt");
  std::ofstream(directory_ / "texts/0003.txt") << LanguageDocument(40, 999);
  EXPECT_ERROR(Resume(config), "is not what the checkpoint was made with");
  EXPECT_EQ(LastCheckpoint(config), checkpoint);
  EXPECT_TRUE(ReadFile(checkpoint / "model.safetensors") == before);
  for (const auto& [setting, message] : std::vector<std::pair<std::string, std::string>>{
           {"seed=2", "seed: is 2, but was 1"},
           {"batch_tokens=512", "batch_tokens: is 512, but was 256"},
           {"data.sequence_length=32", "data.sequence_length: is 32, but was 64"},
           {"data.held_out_fraction=0.3", "data.held_out_fraction: is 0.3, but was 0.2"},
           {"data.source=[{path='texts', text_field='t'}]", "data.source[0].text_field: is 't'"},
           {"data.source=[{path='texts'}, {path='texts'}]", "data.source[1]."}}) {
    EXPECT_ERROR(Resume(In("run", {setting})), message);
  }
  EXPECT_ERROR(Resume(In("run", {"seed=2"})), "model.init_from = \"" + checkpoint.string());
  // Put back, with another time of change.
  std::ofstream(directory_ / "texts/0003.txt") << text;
  Resume(config);
  const RunConfig whole = In("whole");
  RunPretraining(whole);
  ExpectSameEnd(config, whole);
}

// ---- Starting

TEST_F(TrainerTest, AnExistingRunIsNotOverwritten) {
  const RunConfig config = Config();
  RunPretraining(config);
  std::map<std::string, std::pair<fs::file_time_type, std::string>> before;
  for (const auto& entry : fs::recursive_directory_iterator(config.output)) {
    if (entry.is_regular_file())
      before[entry.path().string()] = {entry.last_write_time(), ReadFile(entry.path())};
  }
  // Not even what could be made again: the other run's data and configuration are not written.
  WriteLanguage(directory_ / "texts", 45, 41);
  EXPECT_ERROR(RunPretraining(Config({"steps=20"})),
               "go on with --resume, or choose another output");
  for (const auto& [path, state] : before) {
    EXPECT_EQ(fs::last_write_time(path), state.first) << path;
    EXPECT_TRUE(ReadFile(path) == state.second) << path;
  }
}

TEST_F(TrainerTest, ResumeWithoutACheckpointStartsTheRun) {
  const RunConfig config = Config();
  EXPECT_EQ(Resume(config).step, 12);
  const RunConfig plain = In("plain");
  RunPretraining(plain);
  ExpectSameEnd(config, plain);
}

TEST_F(TrainerTest, ATokenizerLargerThanTheModelIsAnError) {
  const RunConfig config = Config({"steps=1"});
  RunPretraining(config);
  ModelConfig small = TinyRunModel();
  small.vocab_size = 280;
  const RunConfig other =
      TinyRun(directory_.path(), {"output=other", "tokenizer.path=run/tokenizer.json"}, small);
  EXPECT_ERROR(RunPretraining(other), "does not fit the model's vocab_size of 280");
}

TEST_F(TrainerTest, ATokenizerLeftByAnEarlierAttemptWithAnotherModelIsNotTaken) {
  // The first attempt made a tokenizer of 280 and stopped; the second wants one of 300.
  ModelConfig small = TinyRunModel();
  small.vocab_size = 280;
  EXPECT_ERROR(RunPretraining(Config({"batch_tokens=64000"}, small)), "is too small for one batch");
  const RunConfig config = Config({"steps=1"});
  RunPretraining(config);
  const RunConfig fresh = In("fresh", {"steps=1"});
  RunPretraining(fresh);
  ExpectSameFiles(config.output / "model/tokenizer.json", fresh.output / "model/tokenizer.json");
}

TEST_F(TrainerTest, GoesOnFromAModelDirectory) {
  const RunConfig first = In("first", {"steps=40"});
  RunPretraining(first);
  RunConfig second = In("second", {"steps=2", "optimizer.lr=1e-4", "schedule.warmup_steps=0"});
  second.model.config.clear();
  second.model.init_from = first.output / "model";
  RunPretraining(second);
  EXPECT_NEAR(Log(second, "step").front().at("loss").get<double>(),
              Log(first, "step").back().at("loss").get<double>(), 0.3);
  EXPECT_LT(Log(second, "step").front().at("loss"),
            0.8 * Log(first, "step").front().at("loss").get<double>());
  ExpectSameFiles(first.output / "model/tokenizer.json", second.output / "model/tokenizer.json");
}

// A model of another family keeps the files that say how to talk to it.
TEST_F(TrainerTest, WhatCameWithAModelStaysWithIt) {
  const RunConfig first = In("first", {"steps=1"});
  RunPretraining(first);
  const std::map<std::string, std::string> files = {
      {"tokenizer_config.json", R"({"eos_token": "<|im_end|>", "model_max_length": 32768})"},
      {"chat_template.jinja", "{{ messages[0].content }}"},
      {"generation_config.json", R"({"temperature": 0.7})"}};
  for (const auto& [name, text] : files) WriteFileAtomically(first.output / "model" / name, text);
  RunConfig second = In("second", {"steps=1"});
  second.model.config.clear();
  second.model.init_from = first.output / "model";
  RunPretraining(second);
  for (const auto& [name, text] : files) {
    EXPECT_EQ(ReadFile(second.output / "model" / name), text);
    EXPECT_EQ(ReadFile(LastCheckpoint(second) / name), text);
  }
}

TEST_F(TrainerTest, EveryRecipeTakesAStep) {
  const RunConfig plain = In("plain", {"steps=3"});
  RunPretraining(plain);
  const double expected = Log(plain, "step").back().at("loss");
  int number = 0;
  for (const Settings& settings : std::vector<Settings>{
           {"precision.recipe=bf16"},
           {"precision.recipe=bf16", "precision.recompute=true", "precision.attention=absorbed"},
           {"precision.recipe=fp8", "precision.recompute=true"},
           {"precision.recipe=fp8", "precision.scales=ue8m0", "optimizer.moments=bf16"},
           {"optimizer.moments=bf16"},
           {"micro_batch_tokens=64"},
           {"micro_batch_tokens=192"},
           {"micro_batch_tokens=4096"}}) {
    Settings all = settings;
    all.push_back("steps=3");
    const RunConfig config = In(fmt::format("run-{}", number++), all);
    RunPretraining(config);
    EXPECT_NEAR(Log(config, "step").back().at("loss").get<double>(), expected, 0.05 * expected)
        << settings[0];
    const WeightFiles files(config.output / "model");
    EXPECT_EQ(files.Get("lm_head.weight").dtype(),
              config.precision.recipe == "f32" ? DType::kF32 : DType::kBF16);
  }
}

TEST_F(TrainerTest, WithoutDocumentMaskAndWithoutMtp) {
  const RunConfig config =
      Config({"steps=3", "data.document_mask=false", "model.mtp=false", "validation.every=1"});
  RunPretraining(config);
  EXPECT_FALSE(Log(config, "step").back().contains("mtp_loss"));
  EXPECT_EQ(ReadModelConfig(config.output / "model").num_nextn_predict_layers, 0);
  EXPECT_EQ(Log(config, "validation").size(), 2);
}

TEST_F(TrainerTest, AnotherMicroBatchOnResumeIsAWarning) {
  RunConfig first = Config();
  TrainOptions options;
  Interrupt(first, 6, options);
  RunPretraining(first, options);
  CapturedWarnings warnings;
  EXPECT_EQ(Resume(Config({"micro_batch_tokens=128"})).step, 12);
  EXPECT_NE(warnings.text().find("the micro-batch changed from 256 to 128"), std::string::npos)
      << warnings.text();
}

// ---- Evaluation

TEST_F(TrainerTest, ScoringIsTheSameWhateverTheRowsAtOnce) {
  const RunConfig config = Config();
  RunPretraining(config);
  TestRun run(CreateCpuBackend(), 2);
  ThreadPool pool(2);
  const RunInputs inputs = PrepareRun(config, pool, true);
  ParameterStore store(inputs.model, DType::kF32, run.backend().allocator());
  LoadMasters(config.output / "model", inputs.model, store);
  Transformer transformer(inputs.model, Precision::F32(), store, run.backend().allocator());
  transformer.Pack(run.context(), AttentionForm::kExpanded, /*training=*/false);
  const auto score = [&](int64_t rows_at_once, uint64_t max_tokens) {
    return ScoreHeldOut(run.context(), transformer, inputs, 64, rows_at_once,
                        AttentionForm::kExpanded, max_tokens, 1, true);
  };
  const HeldOutScore one = score(1, 0), many = score(7, 0);
  EXPECT_NEAR(one.bits_per_byte, many.bits_per_byte, 1e-9);
  EXPECT_EQ(one.documents, inputs.corpora[0].held_out->documents());
  EXPECT_EQ(one.bytes, inputs.corpora[0].held_out->bytes());
  // Bits per byte are nats over bytes.
  EXPECT_NEAR(
      one.bits_per_byte,
      one.loss * static_cast<double>(one.targets) / std::log(2.0) / static_cast<double>(one.bytes),
      1e-9);
  const HeldOutScore few = score(1, 1);
  EXPECT_EQ(few.documents, 1);
  RunInputs none = inputs;
  none.corpora.clear();
  const HeldOutScore nothing =
      ScoreHeldOut(run.context(), transformer, none, 64, 1, AttentionForm::kExpanded, 1, 1, true);
  EXPECT_EQ(nothing.documents, 0);
  EXPECT_EQ(nothing.bits_per_byte, 0);
  // A few tokens of two sources are a few of each, not all.
  none.corpora = {inputs.corpora[0], inputs.corpora[0]};
  EXPECT_EQ(
      ScoreHeldOut(run.context(), transformer, none, 64, 1, AttentionForm::kExpanded, 1, 1, true)
          .documents,
      2);
}

}  // namespace
}  // namespace fathom::test
