#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/temporary_directory.h"
#include "model/tiny_model.h"

namespace fathom::test {
namespace {

class ScoreConfig : public testing::TestWithParam<Family> {
 protected:
  static ModelConfig Config() {
    ModelConfig config = GetParam() == Family::kDeepseekV3   ? TinyConfig()
                         : GetParam() == Family::kDeepseekV2 ? TinyV2()
                         : GetParam() == Family::kQwen2      ? TinyQwen2()
                                                             : TinyLlama();
    config.num_labels = 1;
    config.num_nextn_predict_layers = 0;
    return config;
  }
};

TEST_P(ScoreConfig, IsWrittenAsTransformersReadsIt) {
  const ModelConfig config = Config();
  const auto json = nlohmann::json::parse(config.ToJson("float32"));
  const std::string architecture = json.at("architectures").at(0);
  EXPECT_TRUE(architecture.ends_with("ForSequenceClassification")) << architecture;
  EXPECT_EQ(json.at("num_labels"), 1);
  EXPECT_EQ(json.at("id2label").size(), 1);
  const ModelConfig read = ModelConfig::FromJson(json.dump(), "config.json");
  EXPECT_EQ(read.num_labels, 1);
  EXPECT_EQ(read.head(), ModelHead::kScore);
  EXPECT_EQ(read.ToJson("float32"), config.ToJson("float32"));
  EXPECT_NO_THROW(read.RequireHead(ModelHead::kScore, "here"));
  EXPECT_ERROR(read.RequireHead(ModelHead::kLanguage, "here"), "is a reward model");

  // The head has one row, and the embedding is none, tied or not.
  int64_t heads = 0;
  for (const ParameterSpec& spec : ParameterSpecs(config)) {
    EXPECT_NE(spec.name, "lm_head.weight");
    heads += spec.name == "score.weight" ? spec.shape.elements() : 0;
  }
  EXPECT_EQ(heads, config.hidden_size);
  ModelConfig language = config;
  language.num_labels = 0;
  language.tie_word_embeddings = false;
  EXPECT_EQ(CountParameters(language).active_matmul - CountParameters(config).active_matmul,
            (config.vocab_size - 1) * config.hidden_size);
}

TEST_P(ScoreConfig, OtherNumbersOfLabelsAreRefused) {
  auto json = nlohmann::json::parse(Config().ToJson("float32"));
  const auto read = [&] { return ModelConfig::FromJson(json.dump(), "config.json"); };
  // As transformers 4 leaves it: the names of the labels alone.
  json.erase("num_labels");
  EXPECT_EQ(read().num_labels, 1);
  json["id2label"] = {{"0", "bad"}, {"1", "good"}};
  EXPECT_ERROR(read(), "with 2 labels");
  json.erase("id2label");
  EXPECT_ERROR(read(), "with 2 labels");
  json["num_labels"] = 3;
  EXPECT_ERROR(read(), "with 3 labels");
  json["architectures"] = {"Qwen2ForCausalLM"};
  EXPECT_EQ(read().num_labels, 0);
}

INSTANTIATE_TEST_SUITE_P(Families, ScoreConfig,
                         testing::Values(Family::kDeepseekV3, Family::kDeepseekV2, Family::kQwen2,
                                         Family::kLlama),
                         [](const auto& param) { return std::string(Name(param.param)); });

TEST(ScoreConfigTest, ImpossibleFieldsAreRefused) {
  ModelConfig config = TinyConfig();
  config.num_labels = 1;
  EXPECT_ERROR(config.Validate("here"), "MTP");
  config.num_nextn_predict_layers = 0;
  EXPECT_NO_THROW(config.Validate("here"));
  config.num_labels = 2;
  EXPECT_ERROR(config.Validate("here"), "only 1");
}

}  // namespace
}  // namespace fathom::test
