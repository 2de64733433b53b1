#include "formats/gguf_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/temporary_directory.h"
#include "formats/convert.h"
#include "formats/gguf_config.h"
#include "formats/gguf_export.h"
#include "formats/gguf_tensors.h"
#include "formats/gguf_writer.h"
#include "formats/mapped_model.h"

namespace fathom::test {
namespace {

namespace fs = std::filesystem;

std::vector<float> ReadAll(const StoredTensor& tensor) {
  std::vector<float> values(static_cast<size_t>(tensor.shape().elements()));
  tensor.Read(0, Tensor(values.data(), DType::kF32, tensor.shape()));
  return values;
}

void Export(const ModelSource& source, const fs::path& path, BlockFormat format, int threads = 1) {
  ThreadPool pool(threads);
  uint64_t last = 0, all = 0;
  ExportGguf(source, path, format, pool, [&](uint64_t done, uint64_t total) {
    EXPECT_GT(done, last);
    last = done;
    all = total;
  });
  EXPECT_EQ(last, all);
}

// A file of a header and tensors in F32 whose elements count up from 0.
class CountingFile {
 public:
  GgufWriter writer;
  void Add(const std::string& name, const std::vector<int64_t>& dims) {
    writer.AddTensor(name, dims, BlockFormat::kF32);
    std::vector<float> values(GgufWriter::TensorBytes(dims, BlockFormat::kF32) / sizeof(float));
    std::iota(values.begin(), values.end(), 0.0F);
    const size_t bytes = values.size() * sizeof(float);
    data_.append(reinterpret_cast<const char*>(values.data()), bytes);
    data_.append(GgufWriter::Padding(bytes), '\0');
  }
  fs::path Write(const fs::path& path) const {
    WriteFileAtomically(path, writer.Header() + data_);
    return path;
  }

 private:
  std::string data_;
};

// The models of tests/golden/model, made with the original implementations.
class GgufGoldenTest : public testing::TestWithParam<const char*> {
 protected:
  std::unique_ptr<ModelSource> Golden() const {
    return ModelSource::Open(fs::path(FATHOM_GOLDEN_DIR) / "model" / GetParam());
  }
  TemporaryDirectory directory_;
};

TEST_P(GgufGoldenTest, ComesBackAsItWas) {
  const auto source = Golden();
  Export(*source, directory_ / "any.name", BlockFormat::kF32);
  const MappedModel model(directory_ / "any.name");  // names and shapes are those of the family
  ModelConfig config = model.config();
  config.initializer_range = source->config().initializer_range;  // not said
  EXPECT_EQ(config.ToJson("float32"), source->config().ToJson("float32"));
  for (const ParameterSpec& spec : ParameterSpecs(config)) {
    EXPECT_EQ(ReadAll(*model.source().Find(spec.name)), ReadAll(*source->Find(spec.name)))
        << spec.name;
  }
}

TEST_P(GgufGoldenTest, ADirectoryMadeOfItSaysTheTypeOfItsWeights) {
  const std::pair<BlockFormat, const char*> formats[] = {{BlockFormat::kF32, "float32"},
                                                         {BlockFormat::kBF16, "bfloat16"},
                                                         {BlockFormat::kF16, "float16"}};
  ThreadPool pool(1);
  for (const auto& [format, dtype] : formats) {
    Export(*Golden(), directory_ / "m.gguf", format);
    const auto model = ModelSource::Open(directory_ / "m.gguf");
    fs::create_directories(directory_ / dtype);
    Conversion(*model, {}).Write(directory_ / dtype, pool, [](uint64_t) {});
    const std::string config = ReadFile(directory_ / dtype / "config.json");
    EXPECT_EQ(nlohmann::json::parse(config)["torch_dtype"], dtype);
  }
}

TEST_P(GgufGoldenTest, AnyRowsInAnyTypeAreThoseOfTheWhole) {
  const auto source = Golden();
  Export(*source, directory_ / "m.gguf", BlockFormat::kBF16);
  const auto model = ModelSource::Open(directory_ / "m.gguf");
  for (const std::string& name : model->names()) {
    const StoredTensor& tensor = *model->Find(name);
    const std::vector<float> whole = ReadAll(tensor);
    const int64_t rows = tensor.shape()[0];
    const int64_t row = tensor.shape().elements() / rows;
    for (int64_t begin = 0; begin < rows; begin += 3) {
      const int64_t count = std::min<int64_t>(5, rows - begin);
      const Shape shape = tensor.shape().rank() == 1 ? Shape({count}) : Shape({count, row});
      std::vector<BF16> half(static_cast<size_t>(count * row));
      std::vector<double> wide(half.size());
      tensor.Read(begin, Tensor(half.data(), DType::kBF16, shape));
      tensor.Read(begin, Tensor(wide.data(), DType::kF64, shape));
      for (size_t i = 0; i < half.size(); ++i) {
        const float expected = whole[static_cast<size_t>(begin * row) + i];
        ASSERT_EQ(wide[i], static_cast<double>(expected)) << name;
        ASSERT_EQ(half[i].bits, BF16(expected).bits) << name;
      }
    }
    if (!tensor.View().empty()) {
      std::vector<float> viewed(whole.size());
      ConvertElements(tensor.View(), Tensor(viewed.data(), DType::kF32, tensor.shape()));
      EXPECT_EQ(viewed, whole) << name;
    }
  }
}

TEST_P(GgufGoldenTest, ThreadsDoNotChangeTheFile) {
  const auto source = Golden();
  Export(*source, directory_ / "1", BlockFormat::kQ8_0, 1);
  Export(*source, directory_ / "3", BlockFormat::kQ8_0, 3);
  EXPECT_EQ(ReadFile(directory_ / "1"), ReadFile(directory_ / "3"));
}

INSTANTIATE_TEST_SUITE_P(All, GgufGoldenTest,
                         testing::Values("deepseek_v2", "deepseek_v2_lite", "deepseek_v3",
                                         "deepseek_v3_mtp", "llama", "qwen2", "qwen2_tied"),
                         [](const auto& test) { return std::string(test.param); });

// deepseek2 with 2 heads of 2 + 2 (values of 3), latent 4, 2 experts of 3, hidden 4.
GgufWriter SmallDeepseek(bool absorbed) {
  GgufWriter writer;
  writer.AddString("general.architecture", "deepseek2");
  const auto size = [&](const std::string& name, int64_t value) {
    writer.AddU32("deepseek2." + name, value);
  };
  size("block_count", 2);
  size("context_length", 64);
  size("embedding_length", 4);
  size("feed_forward_length", 6);
  size("attention.head_count", 2);
  size("attention.kv_lora_rank", 4);
  size(absorbed ? "attention.key_length_mla" : "attention.key_length", 4);
  size(absorbed ? "attention.value_length_mla" : "attention.value_length", 3);
  size("rope.dimension_count", 2);
  size("leading_dense_block_count", 1);
  size("expert_count", 2);
  size("expert_used_count", 1);
  size("expert_feed_forward_length", 3);
  writer.AddF32("deepseek2.attention.layer_norm_rms_epsilon", 1e-6);
  return writer;
}

TEST(GgufModelTest, KeysAndValuesOfAHeadArePutTogether) {
  const TemporaryDirectory directory;
  CountingFile file;
  file.writer = SmallDeepseek(/*absorbed=*/true);
  file.Add("token_embd.weight", {4, 5});
  file.Add("blk.0.attn_k_b.weight", {2, 4, 2});  // [head][latent][nope]
  file.Add("blk.0.attn_v_b.weight", {4, 3, 2});  // [head][value][latent]
  const GgufModel model(file.Write(directory / "m.gguf"));
  const StoredTensor* kv_b = model.Find("model.layers.0.self_attn.kv_b_proj.weight");
  ASSERT_NE(kv_b, nullptr);
  EXPECT_EQ(ReadAll(*kv_b), (std::vector<float>{
                                0,  2,  4,  6,   // head 0: key 0, every second of its 8 numbers
                                1,  3,  5,  7,   // key 1
                                0,  1,  2,  3,   // values 0 to 2
                                4,  5,  6,  7,   //
                                8,  9,  10, 11,  //
                                8,  10, 12, 14,  // head 1
                                9,  11, 13, 15,  //
                                12, 13, 14, 15,  //
                                16, 17, 18, 19,  //
                                20, 21, 22, 23,
                            }));
}

TEST(GgufModelTest, OlderFilesAndStackedExperts) {
  const TemporaryDirectory directory;
  CountingFile file;
  file.writer = SmallDeepseek(/*absorbed=*/false);
  file.Add("token_embd.weight", {4, 5});
  file.Add("blk.0.attn_kv_b.weight", {4, 10});
  file.Add("blk.1.ffn_gate_up_exps.weight", {4, 6, 2});
  file.Add("blk.1.ffn_down_exps.weight", {3, 4, 2});
  file.Add("blk.7.mystery.weight", {3});
  const GgufModel model(file.Write(directory / "m.gguf"));
  EXPECT_EQ(model.config().family, Family::kDeepseekV2);  // no gate is said: softmax
  EXPECT_EQ(model.config().qk_nope_head_dim, 2);
  EXPECT_EQ(model.config().v_head_dim, 3);
  EXPECT_EQ(model.config().q_lora_rank, 0);
  EXPECT_EQ(model.config().vocab_size, 5);
  EXPECT_EQ(model.config().bos_token_id, -1);
  EXPECT_EQ(ReadAll(*model.Find("model.layers.0.self_attn.kv_b_proj.weight"))[39], 39);
  const auto first = [&](const std::string& name) {
    return ReadAll(*model.Find("model.layers.1.mlp.experts." + name + "_proj.weight"))[0];
  };
  EXPECT_EQ(first("0.gate"), 0);
  EXPECT_EQ(first("0.up"), 12);
  EXPECT_EQ(first("1.gate"), 24);
  EXPECT_EQ(first("1.up"), 36);
  EXPECT_EQ(first("1.down"), 12);
  // Without a head, the embedding is it.
  EXPECT_EQ(ReadAll(*model.Find("lm_head.weight")),
            ReadAll(*model.Find("model.embed_tokens.weight")));
  EXPECT_ERROR(MappedModel(directory / "m.gguf"), "is missing");
  EXPECT_NE(model.Find("blk.7.mystery.weight"), nullptr);
}

GgufWriter SmallLlama() {
  GgufWriter writer;
  writer.AddString("general.architecture", "llama");
  for (const auto& [name, value] : std::map<std::string, int64_t>{{"block_count", 1},
                                                                  {"context_length", 64},
                                                                  {"embedding_length", 8},
                                                                  {"feed_forward_length", 6},
                                                                  {"attention.head_count", 2},
                                                                  {"attention.head_count_kv", 1}})
    writer.AddU32("llama." + name, value);
  writer.AddF32("llama.attention.layer_norm_rms_epsilon", 1e-5);
  return writer;
}

TEST(GgufModelTest, RotatedRowsOfLlamaAreHalvesAgain) {
  const TemporaryDirectory directory;
  CountingFile file;
  file.writer = SmallLlama();
  file.Add("token_embd.weight", {8, 5});
  file.Add("blk.0.attn_q.weight", {1, 8});  // two heads of four rows of one element
  file.Add("blk.0.attn_v.weight", {1, 4});
  const GgufModel model(file.Write(directory / "m.gguf"));
  EXPECT_EQ(ReadAll(*model.Find("model.layers.0.self_attn.q_proj.weight")),
            (std::vector<float>{0, 2, 1, 3, 4, 6, 5, 7}));
  EXPECT_EQ(ReadAll(*model.Find("model.layers.0.self_attn.v_proj.weight")),
            (std::vector<float>{0, 1, 2, 3}));
  EXPECT_TRUE(model.config().tie_word_embeddings);
  EXPECT_EQ(model.config().rms_norm_eps, 1e-5);
}

// Factors of Llama 3.1 8B's rope_freqs.weight: theta 500000, heads of 128, factor 8.
TEST(GgufModelTest, FrequencyFactorsAreLlamas) {
  ModelConfig config;
  config.family = Family::kLlama;
  config.head_dim = 128;
  config.rope_theta = 500000;
  config.rope_scaling = Llama3Scaling();
  const std::vector<float> factors = FrequencyFactors(config);
  ASSERT_EQ(factors.size(), 64U);
  // Wavelength 2 pi 500000^(i / 64): below 8192 / 4 until pair 28, above 8192 from pair 35 on.
  EXPECT_EQ(factors[28], 1);
  EXPECT_NEAR(factors[35], 8, 1e-5);
  // Pair 32: 8192 / (2 pi 707.107) = 1.84386 turns, a third of 0.84386 is kept;
  // 1 / ((1 - 0.28129) / 8 + 0.28129) = 2.6945.
  EXPECT_NEAR(factors[32], 2.6945, 1e-4);
}

TEST(GgufModelTest, FilesThatContradictThemselves) {
  const TemporaryDirectory directory;
  const auto open = [&](GgufWriter writer,
                        const std::map<std::string, std::vector<int64_t>>& tensors) {
    CountingFile file;
    file.writer = std::move(writer);
    for (const auto& [name, dims] : tensors) file.Add(name, dims);
    GgufModel(file.Write(directory / "m.gguf"));
  };
  const std::vector<int64_t> embedding = {8, 5};
  GgufWriter other;
  other.AddString("general.architecture", "gemma");
  EXPECT_ERROR(open(other, {{"token_embd.weight", embedding}}), "'gemma' is not supported");
  EXPECT_ERROR(open(GgufWriter(), {{"token_embd.weight", embedding}}),
               "key 'general.architecture' is missing");
  EXPECT_ERROR(open(SmallLlama(), {}), "tensor 'token_embd.weight' is missing");
  EXPECT_ERROR(open(SmallDeepseek(true),
                    {{"token_embd.weight", embedding}, {"blk.0.attn_k_b.weight", {2, 4, 2}}}),
               "the file has no blk.0.attn_v_b.weight");
  EXPECT_ERROR(open(SmallDeepseek(true), {{"token_embd.weight", embedding},
                                          {"blk.0.attn_k_b.weight", {2, 4, 2}},
                                          {"blk.0.attn_v_b.weight", {4, 4, 2}}}),
               "has dimensions [4, 4, 2], the configuration asks for [4, 3, 2]");
  EXPECT_ERROR(open(SmallDeepseek(true),
                    {{"token_embd.weight", embedding}, {"blk.1.ffn_down_exps.weight", {3, 4, 3}}}),
               "the configuration asks for [3, 4, 2]");
  EXPECT_ERROR(
      open(SmallLlama(), {{"token_embd.weight", embedding}, {"blk.0.attn_q.weight", {8, 6}}}),
      "no multiple of heads of 4");
  EXPECT_ERROR(open(SmallLlama(), {{"token_embd.weight", embedding}, {"rope_freqs.weight", {2}}}),
               "tensor 'rope_freqs.weight'");
  GgufWriter huge = SmallLlama();
  huge.AddU32("llama.vocab_size", 5);
  huge.AddU32("llama.expert_count", 8);
  EXPECT_ERROR(open(huge, {{"token_embd.weight", embedding}}),
               "key 'llama.expert_count': is not supported");
  GgufWriter linear = SmallLlama();
  linear.AddString("llama.rope.scaling.type", "linear");
  linear.AddF32("llama.rope.scaling.factor", 4);
  EXPECT_ERROR(open(linear, {{"token_embd.weight", embedding}}), "'linear' is not supported");
}

// A model of one tensor that holds what it is given.
class OneTensor : public StoredTensor {
 public:
  OneTensor(Shape shape, float value) : StoredTensor(shape, "F32", 0), value_(value) {}
  void Read(int64_t, Tensor y) const override {
    std::fill_n(y.data<float>(), y.elements(), value_);
  }

 private:
  float value_;
};

class FakeSource : public ModelSource {
 public:
  FakeSource(const ModelConfig& config, float value) : ModelSource("fake", config) {
    for (const ParameterSpec& spec : ParameterSpecs(config))
      tensors_.emplace(spec.name, std::make_unique<OneTensor>(spec.shape, value));
  }
  std::vector<std::string> names() const override { return {}; }
  const StoredTensor* Find(std::string_view name) const override {
    const auto found = tensors_.find(name);
    return found == tensors_.end() ? nullptr : found->second.get();
  }
  std::optional<Tokenizer> LoadTokenizer() const override { return std::nullopt; }
  std::optional<std::string> SideFile(std::string_view) const override { return std::nullopt; }

 private:
  StoredTensors tensors_;
};

ModelConfig TinyQwen() {
  ModelConfig config;
  config.family = Family::kQwen2;
  config.vocab_size = 7;
  config.hidden_size = 256;
  config.num_hidden_layers = 1;
  config.num_attention_heads = config.num_key_value_heads = 1;
  config.head_dim = 32;
  config.intermediate_size = 40;
  config.attention_bias = true;
  config.rope_layout = RopeLayout::kHalves;
  config.n_routed_experts = config.n_shared_experts = config.num_nextn_predict_layers = 0;
  return config;
}

TEST(GgufExportTest, EachTensorGetsATypeThatFitsIt) {
  const TemporaryDirectory directory;
  Export(FakeSource(TinyQwen(), 0.5F), directory / "m", BlockFormat::kQ4K);
  const GgufFile file(directory / "m");
  std::map<std::string_view, BlockFormat> formats;
  for (const GgufTensor& tensor : file.tensors()) formats[tensor.name] = tensor.format;
  EXPECT_EQ(formats.at("token_embd.weight"), BlockFormat::kQ6K);
  EXPECT_EQ(formats.at("output.weight"), BlockFormat::kQ6K);
  EXPECT_EQ(formats.at("blk.0.attn_q.weight"), BlockFormat::kQ4K);        // rows of 256
  EXPECT_EQ(formats.at("blk.0.attn_output.weight"), BlockFormat::kQ8_0);  // rows of 32
  EXPECT_EQ(formats.at("blk.0.ffn_down.weight"), BlockFormat::kBF16);     // rows of 40
  EXPECT_EQ(formats.at("blk.0.attn_norm.weight"), BlockFormat::kF32);
  EXPECT_EQ(formats.at("blk.0.attn_q.bias"), BlockFormat::kF32);
}

TEST(GgufExportTest, WhatATypeCannotHoldIsAnErrorAndLeavesNothing) {
  const TemporaryDirectory directory;
  for (const float value : {NAN, INFINITY, 70000.0F}) {
    for (const BlockFormat format : {BlockFormat::kF16, BlockFormat::kQ8_0, BlockFormat::kQ4K}) {
      EXPECT_ERROR(Export(FakeSource(TinyQwen(), value), directory / "m", format),
                   "fake: tensor 'token_embd.weight': holds");
      EXPECT_TRUE(fs::is_empty(directory.path()));
    }
    Export(FakeSource(TinyQwen(), value), directory / "m", BlockFormat::kBF16);
    fs::remove(directory / "m");
  }
}

}  // namespace
}  // namespace fathom::test
