#include "infer/loaded_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "backend/cpu/cpu_backend.h"
#include "backend/reference/reference_backend.h"
#include "base/memory.h"
#include "base/temporary_directory.h"
#include "formats/model_directory.h"
#include "formats/safetensors_writer.h"
#include "infer/engine.h"
#include "infer/model_summary.h"
#include "infer/transformer_executor.h"
#include "model/tiny_model.h"
#include "text/bpe_trainer.h"
#include "text/chat/fathom_format.h"

namespace fathom::test {
namespace {

namespace fs = std::filesystem;

// The smallest vocabulary with all special tokens and bytes.
constexpr int64_t kVocabulary = 280;

Tokenizer SmallTokenizer(ThreadPool& pool, int64_t size) {
  const std::string_view text = "the cat sat on the mat, and the rat sat on the cat; then that hat";
  BpeTrainerOptions options;
  options.vocab_size = size;
  return TrainTokenizer(PreTokenizer::DeepSeekV3(), std::span(&text, 1), options, pool);
}

class LoadedModelTest : public testing::Test {
 protected:
  LoadedModelTest() : run_(CreateCpuBackend(), 2) {
    config_ = TinyConfig();
    config_.vocab_size = kVocabulary;
    Save(DType::kBF16);
    const Tokenizer tokenizer = SmallTokenizer(*run_.context().pool, kVocabulary);
    vocabulary_ = tokenizer.vocab_size();
    tokenizer.Save(directory_ / "tokenizer.json");
    Write("tokenizer_config.json", DeepSeekTokenizerConfig(256));
  }

  void Save(DType dtype) {
    ParameterStore store(config_, DType::kF32, HostAllocator());
    InitializeParameters(config_, 1, *run_.context().pool, store);
    SaveModel(directory_.path(), config_, store, dtype);
  }
  void Write(const char* name, const std::string& text) {
    std::ofstream(directory_ / name, std::ios::binary) << text;
  }

  TemporaryDirectory directory_;
  TestRun run_;
  ModelConfig config_;
  int32_t vocabulary_ = 0;
};

TEST_F(LoadedModelTest, ComputesInTheTypeOfTheWeightsUnlessTold) {
  EXPECT_EQ(LoadedModel(directory_.path()).precision().act, DType::kBF16);
  EXPECT_EQ(LoadedModel(directory_.path(), Precision::F32()).precision().act, DType::kF32);
  Save(DType::kF32);
  EXPECT_EQ(LoadedModel(directory_.path()).precision().act, DType::kF32);
}

TEST_F(LoadedModelTest, GeneratesFromADirectory) {
  LoadedModel model(directory_.path());
  EXPECT_EQ(model.config().num_nextn_predict_layers, 0);
  EXPECT_EQ(model.mapped().config().num_nextn_predict_layers, 1);
  model.Pack(run_.context(), {.pages = 4, .batch_tokens = 64, .logit_rows = 1});
  TransformerExecutor executor(run_.context(), model.transformer(), 4);
  Engine engine(executor);
  engine.AddRequest({.prompt = model.RequireTokenizer().Encode("the cat"), .max_tokens = 5});
  size_t tokens = 0;
  while (!engine.idle()) tokens += engine.Step().size();
  EXPECT_EQ(tokens, 5U);
}

TEST_F(LoadedModelTest, WhatDoesNotFitIsRefusedWithTheArithmetic) {
  LoadedModel model(directory_.path());
  EXPECT_GT(AvailableMemory(), 0);
  const InferenceSize size{.pages = int64_t{1} << 34, .batch_tokens = 64, .logit_rows = 1};
  EXPECT_ERROR(model.Pack(run_.context(), size), "not enough memory: packed");
  EXPECT_ERROR(model.Pack(run_.context(), size), "are available");
}

TEST_F(LoadedModelTest, AnMtpModuleIsLoadedIfItFitsUnlessItIsRequired) {
  const InferenceSize small{.pages = 4, .batch_tokens = 64, .logit_rows = 1};
  LoadedModel fits(directory_.path(), std::nullopt, MtpUse::kIfItFits);
  fits.Pack(run_.context(), small);
  EXPECT_EQ(fits.transformer().mtp().size(), 1U);

  // A cache of four fifths of what is available for the two layers, and six fifths with the module.
  const int64_t row = KvCache::BytesPerToken(LoadedModel(directory_.path()).config(),
                                             Precision::BF16(), CacheFormat::kAct);
  InferenceSize large = small;
  large.pages = AvailableMemory() / 5 * 4 / (row * KvCache::kPageTokens);
  LoadedModel wanted(directory_.path(), std::nullopt, MtpUse::kIfItFits);
  wanted.Pack(run_.context(), large);
  EXPECT_EQ(wanted.config().num_nextn_predict_layers, 0);
  EXPECT_TRUE(wanted.transformer().mtp().empty());
  LoadedModel required(directory_.path(), std::nullopt, MtpUse::kRequired);
  EXPECT_ERROR(required.Pack(run_.context(), large), "not enough memory");
}

TEST_F(LoadedModelTest, ThePlanIsWhatIsTaken) {
  for (const bool reference : {false, true}) {
    TestRun run(reference ? CreateReferenceBackend() : CreateCpuBackend(), 2);
    for (const int64_t rank : {0, 7}) {
      config_.q_lora_rank = rank;
      Save(DType::kBF16);
      for (const Precision precision : {Precision::F32(), Precision::BF16()}) {
        LoadedModel model(directory_.path(), precision);
        constexpr int64_t kTokens = 200;
        constexpr int64_t kPages = 4;
        model.Pack(run.context(),
                   {.pages = kPages, .batch_tokens = kTokens, .logit_rows = kTokens});
        EXPECT_EQ(model.memory().packed, static_cast<int64_t>(model.transformer().packed_bytes()));
        // 256 tokens x 2 layers x (5 + 6) elements.
        EXPECT_EQ(model.memory().cache, 256 * 2 * 11 * (precision.act == DType::kF32 ? 4 : 2));

        TransformerExecutor executor(run.context(), model.transformer(), kPages);
        EXPECT_EQ(executor.cache().bytes(), model.memory().cache);
        const std::vector<int32_t> tokens(kTokens, 1);
        const std::vector<int32_t> pages = {0, 1, 2, 3};
        const Piece piece{
            .tokens = tokens, .pages = pages, .first_scored = 1, .targets = tokens, .top = 1};
        executor.Compute({&piece, 1});
        EXPECT_LE(static_cast<int64_t>(run.context().workspace->peak()),
                  model.memory().workspace + model.memory().scratch);
      }
    }
  }
}

TEST_F(LoadedModelTest, ATokenizerThatDoesNotMatchIsAnError) {
  config_.vocab_size = vocabulary_ - 1;
  Save(DType::kF32);
  EXPECT_ERROR(LoadedModel{directory_.path()},
               fmt::format("the tokenizer has {} ids, the model's vocab_size is {}", vocabulary_,
                           vocabulary_ - 1));
  // A model may have more ids than the tokenizer: vocabularies are padded.
  config_.vocab_size = vocabulary_ + 50;
  Save(DType::kF32);
  EXPECT_NO_THROW(LoadedModel{directory_.path()});
}

TEST_F(LoadedModelTest, WithoutATokenizerOnlyTextIsImpossible) {
  fs::remove(directory_ / "tokenizer.json");
  const LoadedModel model(directory_.path());
  EXPECT_EQ(model.tokenizer(), nullptr);
  EXPECT_ERROR(model.RequireTokenizer(), "has no tokenizer");
}

// Weights as programs other than Fathom may write them.
class ForeignWeights : public LoadedModelTest {
 protected:
  void Rewrite(const std::function<DType(const std::string& name)>& type) {
    {
      const SafetensorsFile file(directory_ / "model.safetensors");
      std::vector<SafetensorsItem> items;
      for (const auto& [name, entry] : file.entries())
        items.push_back({name, file.Get(name), type(name)});
      WriteSafetensors(directory_ / "changed", items, {});
    }
    fs::rename(directory_ / "changed", directory_ / "model.safetensors");
  }
};

TEST_F(ForeignWeights, RouterBiasesInBf16AreRead) {
  Rewrite([](const std::string&) { return DType::kBF16; });
  LoadedModel model(directory_.path());
  model.Pack(run_.context(), {.pages = 1, .batch_tokens = 64, .logit_rows = 1});
  TransformerExecutor executor(run_.context(), model.transformer(), 1);
  Engine engine(executor);
  engine.AddRequest({.prompt = {1, 2, 3}, .max_tokens = 1});
  EXPECT_EQ(engine.Step().size(), 1U);
}

// f32 values written as f64 are the same numbers: the same model.
TEST_F(ForeignWeights, DoublePrecisionIsDecoded) {
  const auto first_logprob = [&] {
    LoadedModel model(directory_.path());
    model.Pack(run_.context(), {.pages = 1, .batch_tokens = 64, .logit_rows = 1});
    TransformerExecutor executor(run_.context(), model.transformer(), 1);
    Engine engine(executor);
    engine.AddRequest({.prompt = {1, 2, 3}, .max_tokens = 1});
    return engine.Step().at(0).logprob;
  };
  Save(DType::kF32);
  const float as_f32 = first_logprob();
  Rewrite([](const std::string&) { return DType::kF64; });
  EXPECT_EQ(first_logprob(), as_f32);
}

// ---- Generation defaults

TEST_F(LoadedModelTest, DefaultsComeFromTheFiles) {
  const GenerationDefaults saved = LoadedModel(directory_.path()).defaults();
  EXPECT_EQ(saved.sampling.temperature, 1);
  EXPECT_EQ(saved.stop_ids, std::vector<int32_t>{1});
  EXPECT_EQ(saved.bos_id, 0);

  Write("generation_config.json",
        R"({"eos_token_id":[1,5],"do_sample":true,"temperature":0.6,"top_p":0.95,"top_k":20,
            "repetition_penalty":1.05})");
  Write("tokenizer_config.json",
        R"({"add_bos_token":true,"bos_token":{"content":"<｜User｜>","lstrip":false}})");
  const LoadedModel model(directory_.path());
  EXPECT_EQ(model.defaults().sampling.temperature, 0.6);
  EXPECT_EQ(model.defaults().sampling.top_p, 0.95);
  EXPECT_EQ(model.defaults().sampling.top_k, 20);
  EXPECT_EQ(model.defaults().sampling.repetition_penalty, 1.05);
  EXPECT_EQ(model.defaults().stop_ids, (std::vector<int32_t>{1, 5}));
  EXPECT_EQ(model.defaults().bos_id, model.RequireTokenizer().AddedTokenId("<｜User｜>"));
  EXPECT_TRUE(model.defaults().add_bos);

  Write("generation_config.json", R"({"do_sample":false,"temperature":0.6})");
  EXPECT_TRUE(LoadedModel(directory_.path()).defaults().sampling.greedy());
  fs::remove(directory_ / "generation_config.json");
  fs::remove(directory_ / "tokenizer_config.json");
  const GenerationDefaults none = LoadedModel(directory_.path()).defaults();
  EXPECT_EQ(none.stop_ids, std::vector<int32_t>{1});
  EXPECT_EQ(none.bos_id, 0);
  EXPECT_FALSE(none.add_bos);
}

TEST_F(LoadedModelTest, DefaultsThatCannotBeAreErrors) {
  const std::pair<const char*, const char*> wrong[] = {
      {R"({"eos_token_id":280})", "outside the model's vocabulary"},
      {R"({"eos_token_id":[1,-1]})", "outside the model's vocabulary"},
      {R"({"eos_token_id":"end"})", "expected an integer"},
      {R"({"temperature":-1})", "temperature"},
      {R"({"top_p":"high"})", "expected a number"},
      {"{", "JSON"}};
  for (const auto& [text, message] : wrong) {
    Write("generation_config.json", text);
    EXPECT_ERROR(LoadedModel{directory_.path()}, message);
  }
  fs::remove(directory_ / "generation_config.json");
  Write("tokenizer_config.json", R"({"bos_token":"<none>"})");
  EXPECT_ERROR(LoadedModel{directory_.path()}, "'<none>' is not a token");
}

// ---- Published figures (FACTS: DeepSeek-V3 and V2 reports)

TEST(ModelSummary, CacheOfDeepSeekV3IsThePublishedOne) {
  const CacheSummary cache = SummarizeCache(PresetConfig("v3"));
  EXPECT_EQ(cache.own, 70272);
  EXPECT_EQ(cache.own_mtp, 576 * 2);
  // DeepSeek-V2 report, Table 1: 2 n_h d_h l; 98.2 % less than multi-head attention.
  EXPECT_EQ(cache.multi_head, int64_t{2} * 2 * 128 * 128 * 61);
  EXPECT_NEAR(1 - static_cast<double>(cache.own) / static_cast<double>(cache.multi_head), 0.982,
              5e-4);
}

// 2 n_h d_h l of a grouped-query model is 2 n_g d_h l (V2 report, Table 1): Qwen2.5-72B's 327,680
// bytes a token in bf16 (FACTS: ISCA 2025).
TEST(ModelSummary, CacheOfGroupedQueryAttentionIsThePublishedOne) {
  ModelConfig config;
  config.family = Family::kQwen2;
  config.num_hidden_layers = 80;
  config.num_nextn_predict_layers = 0;
  config.num_attention_heads = 64;
  config.num_key_value_heads = 8;
  config.head_dim = 128;
  const CacheSummary cache = SummarizeCache(config);
  EXPECT_EQ(cache.own, 327680);
  EXPECT_EQ(cache.multi_head, 8 * cache.own);
}

TEST(ModelSummary, CacheOfTheDeepSeekV2sIsThePublishedOne) {
  EXPECT_EQ(SummarizeCache(PresetConfig("v2")).own, 69120);
  EXPECT_EQ(SummarizeCache(PresetConfig("v2-lite")).own, 31104);
}

// FlashMLA's FP8 cache: 512 codes, 4 f32 scales, 64 bf16 in 656 bytes a layer (FACTS, section 6).
TEST(ModelSummary, Fp8LatentsOfDeepSeekV3AreTheSizeOfFlashMlas) {
  EXPECT_EQ(SummarizeCache(PresetConfig("v3"), CacheFormat::kFp8Latent).own, 61 * 656);
}

// What `fathom inspect` says is what a cache takes.
TEST(ModelSummary, ACacheTakesWhatTheSummarySays) {
  for (const char* preset : {"nano", "tiny8", "lite8", "v2-lite"}) {
    const ModelConfig config = PresetConfig(preset);
    for (const CacheFormat format : {CacheFormat::kAct, CacheFormat::kFp8Latent}) {
      constexpr int64_t kPages = 3;
      const KvCache cache(config, Precision::BF16(), format, kPages, HostAllocator());
      const CacheSummary summary = SummarizeCache(config, format);
      EXPECT_EQ(cache.bytes(), kPages * KvCache::kPageTokens * (summary.own + summary.own_mtp))
          << preset;
    }
  }
}

}  // namespace
}  // namespace fathom::test
