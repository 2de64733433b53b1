#include "formats/convert.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "base/temporary_directory.h"
#include "formats/checkpoint_files.h"
#include "formats/gguf_export.h"
#include "formats/mapped_model.h"
#include "formats/model_directory.h"
#include "tensor/float16.h"
#include "tensor/float8.h"

namespace fathom::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

// Sizes beyond one block of 128 that no 128 divides.
ModelConfig RaggedConfig() {
  ModelConfig config;
  config.vocab_size = 21;
  config.hidden_size = 136;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 2;
  config.intermediate_size = 140;
  config.moe_intermediate_size = 12;
  config.first_k_dense_replace = 1;
  config.n_routed_experts = 4;
  config.num_experts_per_tok = 2;
  config.n_group = 2;
  config.topk_group = 1;
  config.q_lora_rank = 130;
  config.kv_lora_rank = 129;
  config.qk_nope_head_dim = 36;
  config.qk_rope_head_dim = 4;
  config.v_head_dim = 65;
  config.num_nextn_predict_layers = 1;
  config.max_position_embeddings = 64;
  return config;
}

class ConvertTest : public testing::Test {
 protected:
  ConvertTest() : config_(RaggedConfig()), pool_(2) {
    ParameterStore store(config_, DType::kF32, HostAllocator());
    InitializeParameters(config_, 5, pool_, store);
    // Router biases that bf16 would round.
    for (const auto& parameter : store.all()) {
      if (parameter->spec.kind != ParameterKind::kRouterBias) continue;
      for (float& value : parameter->master.span<float>()) value = 0.1F;
    }
    fs::create_directories(Path("f32"));
    SaveModel(Path("f32"), config_, store, DType::kF32);
  }

  fs::path Path(const std::string& name) const { return directory_ / name; }

  void Convert(const std::string& from, const std::string& to, std::optional<WeightType> type,
               int64_t shard_bytes = WeightsWriter::kDefaultShardBytes) {
    const MappedModel model(Path(from));
    const Conversion conversion(model.source(), {.type = type, .shard_bytes = shard_bytes});
    fs::remove_all(Path(to));
    fs::create_directories(Path(to));
    uint64_t last = 0;
    conversion.Write(Path(to), pool_, [&](uint64_t written) {
      EXPECT_GE(written, last);
      last = written;
    });
    EXPECT_LE(last, conversion.bytes());
    EXPECT_NO_THROW(MappedModel{Path(to)});
  }
  std::string Weights(const std::string& name) const {
    return ReadText(Path(name) / "model.safetensors");
  }
  ordered_json Config(const std::string& name) const {
    return ordered_json::parse(ReadText(Path(name) / "config.json"));
  }
  std::vector<float> Values(const ModelSource& source, const std::string& name) const {
    const StoredTensor& tensor = *source.Find(name);
    std::vector<float> values(static_cast<size_t>(tensor.shape().elements()));
    tensor.Read(0, Tensor(values.data(), DType::kF32, tensor.shape()));
    return values;
  }

  TemporaryDirectory directory_;
  ModelConfig config_;
  ThreadPool pool_;
};

TEST_F(ConvertTest, WithoutATypeEverythingIsCopied) {
  Convert("f32", "copy", std::nullopt);
  const SafetensorsFile a(Path("f32") / "model.safetensors"), b(Path("copy") / "model.safetensors");
  ASSERT_EQ(a.entries().size(), b.entries().size());
  for (const auto& [name, entry] : a.entries()) {
    const auto x = a.Bytes(name), y = b.Bytes(name);
    EXPECT_TRUE(std::equal(x.begin(), x.end(), y.begin(), y.end())) << name;
    EXPECT_EQ(entry.type, b.entries().find(name)->second.type);
  }
  EXPECT_EQ(ReadText(Path("f32") / "config.json"), ReadText(Path("copy") / "config.json"));
}

TEST_F(ConvertTest, RoundTripsOfLosslessPairsKeepEveryByte) {
  for (const auto& [name, type] :
       {std::pair{"bf16", WeightType::kBF16}, {"f16", WeightType::kF16}}) {
    const std::string narrow = name;
    Convert("f32", narrow, type);
    Convert(narrow, narrow + "-f32", WeightType::kF32);
    Convert(narrow + "-f32", narrow + "-again", type);
    EXPECT_EQ(Weights(narrow), Weights(narrow + "-again"));
    Convert(narrow, narrow + "-copy", type);
    EXPECT_EQ(Weights(narrow), Weights(narrow + "-copy"));
  }
}

// In bf16, with norms and routers in f32 on the way, which hold what bf16 does.
TEST_F(ConvertTest, ThroughGgufAndBackKeepsEveryByte) {
  Convert("f32", "bf16", WeightType::kBF16);
  ExportGguf(*ModelSource::Open(Path("bf16")), Path("m.gguf"), BlockFormat::kBF16, pool_,
             [](uint64_t, uint64_t) {});
  Convert("m.gguf", "again", WeightType::kBF16);
  const SafetensorsFile a(Path("bf16") / "model.safetensors"),
      b(Path("again") / "model.safetensors");
  // The MTP module's copies of embedding and head are not exported.
  ASSERT_EQ(a.entries().size(), b.entries().size() + 2);
  for (const auto& [name, entry] : b.entries()) {
    const auto x = a.Bytes(name), y = b.Bytes(name);
    EXPECT_TRUE(std::equal(x.begin(), x.end(), y.begin(), y.end())) << name;
    EXPECT_EQ(entry.type, a.entries().find(name)->second.type) << name;
  }
}

TEST_F(ConvertTest, EveryValueIsRoundedOnce) {
  Convert("f32", "bf16", WeightType::kBF16);
  Convert("f32", "f16", WeightType::kF16);
  const auto f32 = ModelSource::Open(Path("f32")), bf16 = ModelSource::Open(Path("bf16")),
             f16 = ModelSource::Open(Path("f16"));
  for (const std::string& name : f32->names()) {
    const std::vector<float> original = Values(*f32, name), b = Values(*bf16, name),
                             h = Values(*f16, name);
    const bool bias = name.ends_with("e_score_correction_bias");
    EXPECT_EQ(bf16->Find(name)->type(), bias ? "F32" : "BF16");
    EXPECT_EQ(f16->Find(name)->type(), bias ? "F32" : "F16");
    for (size_t i = 0; i < original.size(); ++i) {
      ASSERT_EQ(b[i], bias ? original[i] : static_cast<float>(BF16(original[i]))) << name;
      ASSERT_EQ(h[i], bias ? original[i] : static_cast<float>(F16(original[i]))) << name;
    }
  }
}

TEST_F(ConvertTest, Fp8HasTheTensorsOfTheRelease) {
  Convert("f32", "fp8", WeightType::kFp8);
  const auto source = ModelSource::Open(Path("fp8"));
  std::set<std::string> fp8;
  for (const std::string& name : source->names()) {
    const std::string& type = source->Find(name)->type();
    if (type == "F8_E4M3") {
      fp8.insert(name);
    } else {
      EXPECT_EQ(type, name.ends_with("e_score_correction_bias") ? "F32" : "BF16") << name;
    }
  }
  std::set<std::string> expected;
  for (int layer = 0; layer < 3; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    for (const char* name : {"q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj"})
      expected.insert(prefix + "self_attn." + name + ".weight");
    std::vector<std::string> mlps = {"mlp."};
    if (layer > 0) {
      mlps = {"mlp.shared_experts."};
      for (int e = 0; e < 4; ++e) mlps.push_back("mlp.experts." + std::to_string(e) + ".");
    }
    for (const std::string& mlp : mlps) {
      for (const char* name : {"gate_proj", "up_proj", "down_proj"})
        expected.insert(prefix + mlp + name + ".weight");
    }
  }
  EXPECT_EQ(fp8, expected);
  const SafetensorsFile file(Path("fp8") / "model.safetensors");
  EXPECT_EQ(file.entries().at("model.layers.0.self_attn.kv_b_proj.weight_scale_inv").shape,
            (std::vector<int64_t>{2, 2}));  // [202, 129]
  EXPECT_EQ(Config("fp8")["quantization_config"],
            (ordered_json{{"activation_scheme", "dynamic"},
                          {"fmt", "e4m3"},
                          {"quant_method", "fp8"},
                          {"weight_block_size", {128, 128}}}));
  EXPECT_EQ(Config("fp8")["torch_dtype"], "bfloat16");
}

// The largest magnitude of a block is 448 scales; every value is at the nearest code.
TEST_F(ConvertTest, Fp8BlocksAreAsNearAsTheFormatAllows) {
  Convert("f32", "fp8", WeightType::kFp8);
  const auto original = ModelSource::Open(Path("f32")), source = ModelSource::Open(Path("fp8"));
  const std::string name = "model.layers.0.self_attn.kv_b_proj.weight";
  constexpr int64_t kRows = 202, kColumns = 129;
  const std::vector<float> w = Values(*original, name), q = Values(*source, name);
  for (int64_t row_block = 0; row_block < 2; ++row_block) {
    for (int64_t column_block = 0; column_block < 2; ++column_block) {
      double largest = 0;
      const auto for_each = [&](const auto& use) {
        for (int64_t r = 128 * row_block; r < std::min(kRows, 128 * (row_block + 1)); ++r) {
          for (int64_t c = 128 * column_block; c < std::min(kColumns, 128 * (column_block + 1));
               ++c)
            use(static_cast<double>(w[static_cast<size_t>(r * kColumns + c)]),
                static_cast<double>(q[static_cast<size_t>(r * kColumns + c)]));
        }
      };
      for_each([&](double x, double) { largest = std::max(largest, std::abs(x)); });
      const double scale = largest / 448;
      // Three bits of mantissa: half a step is 1/16 of the value at most; 2^-10 among subnormals.
      for_each([&](double x, double y) {
        ASSERT_LE(std::abs(x - y), std::max(std::abs(x) / 16, scale / 1024) * (1 + 1e-6));
      });
    }
  }
}

TEST_F(ConvertTest, Fp8ThroughF32GivesTheSameCodes) {
  Convert("f32", "fp8", WeightType::kFp8);
  Convert("fp8", "wide", WeightType::kF32);
  EXPECT_FALSE(Config("wide").contains("quantization_config"));
  EXPECT_EQ(Config("wide")["torch_dtype"], "float32");
  Convert("wide", "again", WeightType::kFp8);
  const SafetensorsFile a(Path("fp8") / "model.safetensors"),
      b(Path("again") / "model.safetensors");
  ASSERT_EQ(a.entries().size(), b.entries().size());
  for (const auto& [name, entry] : a.entries()) {
    if (name.ends_with("_scale_inv")) {
      // (448 s rounded) / 448 may be the next f32.
      for (int64_t i = 0; i < a.Get(name).elements(); ++i) {
        const float x = a.Get(name).data<float>()[i], y = b.Get(name).data<float>()[i];
        EXPECT_NEAR(x, y, x * 0x1p-23F);
      }
      continue;
    }
    const auto x = a.Bytes(name), y = b.Bytes(name);
    EXPECT_TRUE(std::equal(x.begin(), x.end(), y.begin(), y.end())) << name;
  }
  Convert("fp8", "copy", WeightType::kFp8);
  EXPECT_EQ(Weights("fp8"), Weights("copy"));
}

TEST_F(ConvertTest, ShardsAndOneFileHoldTheSame) {
  Convert("f32", "fp8", WeightType::kFp8);
  Convert("fp8", "shards", std::nullopt, 80'000);
  size_t files = 0;
  for (const auto& entry : fs::directory_iterator(Path("shards"))) {
    if (entry.path().extension() != ".safetensors") continue;
    ++files;
    const SafetensorsFile file(entry.path());
    uint64_t bytes = 0;
    for (const auto& [name, tensor] : file.entries()) {
      bytes += tensor.end - tensor.begin;
      // Scales are in the file of their codes.
      EXPECT_EQ(tensor.type == "F8_E4M3", file.entries().contains(name + "_scale_inv"));
    }
    EXPECT_LE(bytes, 80'000U);
  }
  EXPECT_GT(files, 3U);
  const ordered_json index =
      ordered_json::parse(ReadText(Path("shards") / "model.safetensors.index.json"));
  EXPECT_EQ(index["weight_map"].size(),
            SafetensorsFile(Path("fp8") / "model.safetensors").entries().size());
  Convert("shards", "single", std::nullopt);
  EXPECT_EQ(Weights("single"), Weights("fp8"));
  EXPECT_FALSE(fs::exists(Path("single") / "model.safetensors.index.json"));
}

TEST_F(ConvertTest, WhatConfigJsonSaysBesidesIsKept) {
  ordered_json config = Config("f32");
  config["torch_dtype"] = "float32";
  config["some_future_field"] = {{"a", {1, 2.5, nullptr}}, {"b", "ü"}};
  config["rms_norm_eps"] = 1e-06;
  WriteText(Path("f32") / "config.json", config.dump(2));
  Convert("f32", "bf16", WeightType::kBF16);
  config["torch_dtype"] = "bfloat16";
  EXPECT_EQ(ReadText(Path("bf16") / "config.json"), config.dump(2) + "\n");
  // As transformers 5 spells it.
  config.erase("torch_dtype");
  config["dtype"] = "float32";
  WriteText(Path("f32") / "config.json", config.dump(2));
  Convert("f32", "f16", WeightType::kF16);
  config["dtype"] = "float16";
  EXPECT_EQ(Config("f16"), config);
}

TEST_F(ConvertTest, SmallFilesGoAlongAndNothingElse) {
  for (const char* name :
       {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "LICENSE",
        "pytorch_model.bin", ".hidden", "model.safetensors.index.json.partial"})
    WriteText(Path("f32") / name, std::string("text of ") + name);
  fs::create_directories(Path("f32") / "trainer");
  WriteText(Path("f32") / "trainer" / "state.json", "{}");
  Convert("f32", "bf16", WeightType::kBF16);
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(Path("bf16")))
    names.insert(entry.path().filename());
  EXPECT_EQ(names, (std::set<std::string>{"LICENSE", "chat_template.jinja", "config.json",
                                          "generation_config.json", "model.safetensors",
                                          "tokenizer.json", "tokenizer_config.json"}));
  EXPECT_EQ(ReadText(Path("bf16") / "LICENSE"), "text of LICENSE");
}

TEST_F(ConvertTest, ValuesThatTheTargetCannotHaveAreErrors) {
  const auto with = [&](float value) {
    ParameterStore store(config_, DType::kF32, HostAllocator());
    LoadMasters(Path("f32"), config_, store);
    store.Get("model.layers.1.self_attn.o_proj.weight").master.data<float>()[77] = value;
    fs::create_directories(Path("changed"));
    SaveModel(Path("changed"), config_, store, DType::kF32);
  };
  with(70000);
  EXPECT_ERROR(Convert("changed", "f16", WeightType::kF16), "o_proj.weight: holds 70000");
  EXPECT_NO_THROW(Convert("changed", "bf16", WeightType::kBF16));
  for (const float value :
       {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    with(value);
    EXPECT_ERROR(Convert("changed", "fp8", WeightType::kFp8),
                 "model.layers.1.self_attn.o_proj.weight: holds an infinity or a NaN");
    EXPECT_NO_THROW(Convert("changed", "f16", WeightType::kF16));
  }
}

}  // namespace
}  // namespace fathom::test
