#include "formats/gguf_tokenizer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/temporary_directory.h"
#include "formats/gguf_export.h"
#include "formats/gguf_writer.h"
#include "text/byte_level.h"
#include "text/text_golden.h"

namespace fathom::test {
namespace {

using nlohmann::json;

// A model that is nothing but a tokenizer and its small files.
class TextSource : public ModelSource {
 public:
  TextSource(std::string tokenizer, int64_t vocab_size, std::map<std::string, std::string> files)
      : ModelSource("fake", Config(vocab_size)),
        tokenizer_(std::move(tokenizer)),
        files_(std::move(files)) {}
  std::vector<std::string> names() const override { return {}; }
  const StoredTensor* Find(std::string_view) const override { return nullptr; }
  std::optional<Tokenizer> LoadTokenizer() const override {
    return Tokenizer::FromJson(tokenizer_, "fake");
  }
  std::optional<std::string> SideFile(std::string_view name) const override {
    const auto found = files_.find(std::string(name));
    if (found == files_.end()) return std::nullopt;
    return found->second;
  }

 private:
  static ModelConfig Config(int64_t vocab_size) {
    ModelConfig config;
    config.vocab_size = vocab_size;
    config.bos_token_id = -1;
    config.eos_token_ids.clear();
    return config;
  }
  std::string tokenizer_;
  std::map<std::string, std::string> files_;
};

// Metadata with the bytes that it views.
struct Metadata {
  explicit Metadata(const GgufWriter& writer)
      : text(writer.Header()), contents(ParseGguf(std::as_bytes(std::span(text)), "x.gguf")) {}
  std::string text;
  GgufContents contents;
  const GgufMetadata& operator*() const { return contents.metadata; }
};

Metadata Describe(const ModelSource& source) {
  GgufWriter writer;
  DescribeModel(source, BlockFormat::kBF16, writer);
  return Metadata(writer);
}

struct Case {
  const char* file;
  const char* pre;
};

class GgufTokenizerTest : public testing::TestWithParam<Case> {};

// The ids come from Hugging Face `tokenizers`.
TEST_P(GgufTokenizerTest, GivesTheSameIdsAfterAJourney) {
  const json golden = json::parse(GoldenText(GetParam().file));
  const TextSource source(golden.at("tokenizer").dump(), 500, {});
  const Metadata metadata = Describe(source);
  EXPECT_EQ((*metadata).At("tokenizer.ggml.pre").String(), GetParam().pre);
  const auto tokenizer = GgufTokenizer(*metadata);
  ASSERT_TRUE(tokenizer.has_value());
  for (const json& one : golden.at("cases")) {
    EXPECT_EQ(tokenizer->Encode(one.at("text").get<std::string>()),
              one.at("ids").get<std::vector<int32_t>>());
  }
}

INSTANTIATE_TEST_SUITE_P(All, GgufTokenizerTest,
                         testing::Values(Case{"family_deepseek2.json", "deepseek-llm"},
                                         Case{"family_deepseek_coder.json", "deepseek-coder"},
                                         Case{"family_qwen2.json", "qwen2"},
                                         Case{"family_llama3.json", "llama-bpe"},
                                         Case{"family_gpt2.json", "gpt-2"}),
                         [](const auto& test) {
                           std::string name = test.param.pre;
                           std::erase(name, '-');
                           return name;
                         });

TEST(GgufTokenizerTest, DeepSeekV3WithItsSmallFiles) {
  const std::string text = GoldenText("tokenizer.json");
  const Tokenizer original = Tokenizer::FromJson(text, "golden");
  const int64_t size = original.vocab_size() + 3;
  const TextSource source(
      text, size,
      {{"tokenizer_config.json",
        R"({"add_bos_token": true, "bos_token": {"content": "<｜begin▁of▁sentence｜>"},
            "eos_token": "<｜end▁of▁sentence｜>", "pad_token": "<｜▁pad▁｜>",
            "chat_template": "{{ messages }}"})"},
       {"generation_config.json",
        R"({"eos_token_id": [1, 7], "temperature": 0.6, "top_p": 0.95, "do_sample": true})"}});
  const Metadata metadata = Describe(source);
  const auto tokens = (*metadata).At("tokenizer.ggml.tokens").Strings();
  ASSERT_EQ(static_cast<int64_t>(tokens.size()), size);  // every row of the embedding has one
  EXPECT_EQ(tokens.back(), fmt::format("[PAD{}]", size - 1));
  EXPECT_EQ((*metadata).At("tokenizer.ggml.pre").String(), "deepseek-v3");

  const auto tokenizer = GgufTokenizer(*metadata);
  ASSERT_TRUE(tokenizer.has_value());
  EXPECT_EQ(tokenizer->vocab_size(), size);
  for (int32_t id = 0; id < size; ++id) {
    EXPECT_EQ(tokenizer->HasToken(id), original.HasToken(id)) << id;
    EXPECT_EQ(tokenizer->TokenBytes(id), original.TokenBytes(id)) << id;
    EXPECT_EQ(tokenizer->IsSpecial(id), original.IsSpecial(id)) << id;
  }
  const std::string plain = "<｜User｜>Grüße, 世界 12345!\n\n  <think>x";
  EXPECT_EQ(tokenizer->Encode(plain), original.Encode(plain));

  const json config = json::parse(*GgufTokenizerConfig(*metadata));
  EXPECT_EQ(config.at("bos_token"), "<｜begin▁of▁sentence｜>");
  EXPECT_EQ(config.at("eos_token"), "<｜end▁of▁sentence｜>");
  EXPECT_EQ(config.at("pad_token"), "<｜▁pad▁｜>");
  EXPECT_EQ(config.at("add_bos_token"), true);
  EXPECT_EQ(config.at("chat_template"), "{{ messages }}");
  const json generation = json::parse(*GgufGenerationConfig(*metadata));
  EXPECT_EQ(generation.at("eos_token_id"), (json{1, 7}));
  EXPECT_EQ(generation.at("temperature"), 0.6);
  EXPECT_EQ(generation.at("top_p"), 0.95);
}

// The 256 bytes, "ab", a control and an unused token.
class HandmadeGgufTokenizer : public testing::Test {
 protected:
  HandmadeGgufTokenizer() {
    for (int byte = 0; byte < 256; ++byte)
      tokens_.push_back(BytesToPrintable(std::string(1, static_cast<char>(byte))));
    tokens_.insert(tokens_.end(), {"ab", "<end>", "[PAD258]"});
    types_.assign(tokens_.size(), 1);
    types_[257] = 3;
    types_[258] = 5;
  }
  Metadata Make() const {
    GgufWriter writer;
    writer.AddString("tokenizer.ggml.model", model_);
    writer.AddString("tokenizer.ggml.pre", pre_);
    writer.AddStrings("tokenizer.ggml.tokens", tokens_);
    writer.AddI32s("tokenizer.ggml.token_type", types_);
    writer.AddStrings("tokenizer.ggml.merges", merges_);
    writer.AddU32("tokenizer.ggml.eos_token_id", end_);
    return Metadata(writer);
  }

  std::string model_ = "gpt2", pre_ = "gpt-2";
  std::vector<std::string> tokens_, merges_ = {"a b"};
  std::vector<int32_t> types_;
  int64_t end_ = 257;
};

TEST_F(HandmadeGgufTokenizer, IsRead) {
  const auto tokenizer = GgufTokenizer(*Make());
  ASSERT_TRUE(tokenizer.has_value());
  EXPECT_EQ(tokenizer->Encode("abc<end>"), (std::vector<int32_t>{256, 'c', 257}));
  EXPECT_FALSE(tokenizer->HasToken(258));
  types_[257] = 1;  // the end token is one, whatever its type
  EXPECT_TRUE(GgufTokenizer(*Make())->IsSpecial(257));
}

TEST_F(HandmadeGgufTokenizer, WhatContradictsItselfIsAnError) {
  model_ = "llama";
  EXPECT_ERROR(GgufTokenizer(*Make()), "key 'tokenizer.ggml.model': 'llama' is not supported");
  model_ = "none";
  EXPECT_FALSE(GgufTokenizer(*Make()).has_value());
  model_ = "gpt2";
  pre_ = "tekken";
  EXPECT_ERROR(GgufTokenizer(*Make()), "'tekken' is not supported (known are deepseek-v3, ");
  pre_ = "gpt-2";
  end_ = 259;
  EXPECT_ERROR(GgufTokenizer(*Make()), "259 is out of range [0, 258]");
  EXPECT_ERROR(GgufTokenizerConfig(*Make()), "259 is out of range [0, 258]");
  end_ = 257;
  merges_ = {"ab"};
  EXPECT_ERROR(GgufTokenizer(*Make()), "is not two tokens");
  merges_ = {"a b", "ab q"};
  EXPECT_ERROR(GgufTokenizer(*Make()), "merge 1, 'ab q': there is no token 'abq'");
  merges_ = {"a <end>"};
  EXPECT_ERROR(GgufTokenizer(*Make()), "is not an ordinary token");
  merges_ = {};
  types_.pop_back();
  EXPECT_ERROR(GgufTokenizer(*Make()), "has 258 entries, there are 259 tokens");
  types_.push_back(5);
  tokens_[256] = "a";
  EXPECT_ERROR(GgufTokenizer(*Make()), "tokens 97 and 256 are both 'a'");
  tokens_[256] = "";
  EXPECT_ERROR(GgufTokenizer(*Make()), "token 256 is empty");
  tokens_[256] = "\xff";
  EXPECT_ERROR(GgufTokenizer(*Make()), "is not UTF-8");
  tokens_[256] = "ab";
  tokens_['a'] = "zz";
  EXPECT_ERROR(GgufTokenizer(*Make()), "x.gguf");  // a byte without a token
}

TEST(GgufTokenizerTest, AWayToCutTextWithoutANameIsAnError) {
  json tokenizer = json::parse(GoldenText("tokenizer.json"));
  tokenizer["pre_tokenizer"]["pretokenizers"].erase(0);
  const TextSource source(tokenizer.dump(), 5000, {});
  EXPECT_ERROR(Describe(source), "GGUF has no name for this tokenizer's pre_tokenizer");
}

}  // namespace
}  // namespace fathom::test
