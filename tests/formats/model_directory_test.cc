#include "formats/model_directory.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/temporary_directory.h"
#include "base/thread_pool.h"
#include "formats/mapped_model.h"
#include "formats/safetensors_writer.h"

namespace fathom::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

ModelConfig SmallConfig() {
  ModelConfig config;
  config.vocab_size = 11;
  config.hidden_size = 8;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 2;
  config.intermediate_size = 6;
  config.moe_intermediate_size = 4;
  config.first_k_dense_replace = 1;
  config.n_routed_experts = 4;
  config.num_experts_per_tok = 2;
  config.n_group = 2;
  config.topk_group = 1;
  config.q_lora_rank = 5;
  config.kv_lora_rank = 4;
  config.qk_nope_head_dim = 4;
  config.qk_rope_head_dim = 2;
  config.v_head_dim = 3;
  config.num_nextn_predict_layers = 1;
  config.max_position_embeddings = 64;
  return config;
}

void Write(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}
std::string Read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool SameBits(const ConstTensor& a, const ConstTensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())) == 0;
}

class ModelDirectoryTest : public testing::Test {
 protected:
  ModelDirectoryTest()
      : config_(SmallConfig()), store_(config_, DType::kF32, HostAllocator()), pool_(1) {
    InitializeParameters(config_, 5, pool_, store_);
    SaveModel(directory_.path(), config_, store_, DType::kF32);
  }

  fs::path Path(const char* name) const { return directory_.path() / name; }
  // The tensors of model.safetensors as they were written.
  std::vector<SafetensorsItem> Items(const SafetensorsFile& file) const {
    std::vector<SafetensorsItem> items;
    for (const auto& [name, entry] : file.entries()) {
      items.push_back({name, file.Get(name), file.Get(name).dtype()});
    }
    return items;
  }
  // Writes the weights again, changed.
  void Rewrite(const std::function<void(std::vector<SafetensorsItem>&)>& change) {
    {
      const SafetensorsFile file(Path("model.safetensors"));
      std::vector<SafetensorsItem> items = Items(file);
      change(items);
      WriteSafetensors(Path("changed"), items, {});
    }
    fs::rename(Path("changed"), Path("model.safetensors"));
  }
  void ChangeConfig(const std::function<void(ordered_json&)>& change) {
    ordered_json json = ordered_json::parse(Read(Path("config.json")));
    change(json);
    Write(Path("config.json"), json.dump());
  }
  static SafetensorsItem& Find(std::vector<SafetensorsItem>& items, const std::string& name) {
    for (SafetensorsItem& item : items) {
      if (item.name == name) return item;
    }
    throw std::runtime_error("no " + name);
  }

  TemporaryDirectory directory_;
  ModelConfig config_;
  ParameterStore store_;
  ThreadPool pool_;
};

TEST_F(ModelDirectoryTest, WhatIsSavedInF32ComesBackBitForBit) {
  MappedModel mapped(directory_.path());
  EXPECT_EQ(mapped.config().ToJson("float32"), config_.ToJson("float32"));
  ParameterStore masters(config_, DType::kF32, HostAllocator());
  LoadMasters(directory_.path(), config_, masters);
  ASSERT_EQ(mapped.store().all().size(), store_.all().size());
  for (const auto& parameter : store_.all()) {
    const std::string& name = parameter->spec.name;
    EXPECT_TRUE(SameBits(mapped.store().Get(name).value, parameter->value)) << name;
    EXPECT_TRUE(SameBits(masters.Get(name).value, parameter->value)) << name;
  }
}

TEST_F(ModelDirectoryTest, Bf16IsRoundedOnceAndRouterBiasesStayF32) {
  TemporaryDirectory bf16;
  SaveModel(bf16.path(), config_, store_, DType::kBF16);
  MappedModel mapped(bf16.path());
  for (const auto& parameter : mapped.store().all()) {
    const ConstTensor original = store_.Get(parameter->spec.name).value;
    if (parameter->spec.kind == ParameterKind::kRouterBias) {
      EXPECT_TRUE(SameBits(parameter->value, original));
      continue;
    }
    ASSERT_EQ(parameter->value.dtype(), DType::kBF16) << parameter->spec.name;
    for (int64_t i = 0; i < original.elements(); ++i) {
      ASSERT_EQ(parameter->value.data<BF16>()[i].bits, BF16(original.data<float>()[i]).bits);
    }
  }
  EXPECT_EQ(ordered_json::parse(Read(bf16 / "config.json"))["torch_dtype"], "bfloat16");
}

TEST_F(ModelDirectoryTest, NamesAndShapesAreThoseOfTheReleasedCheckpoints) {
  const SafetensorsFile file(Path("model.safetensors"));
  const auto shape = [&](const char* name) { return file.Get(name).shape().ToString(); };
  EXPECT_EQ(shape("model.embed_tokens.weight"), "[11, 8]");
  EXPECT_EQ(shape("model.layers.0.self_attn.q_a_proj.weight"), "[5, 8]");
  EXPECT_EQ(shape("model.layers.0.self_attn.q_b_proj.weight"), "[12, 5]");
  EXPECT_EQ(shape("model.layers.0.self_attn.kv_a_proj_with_mqa.weight"), "[6, 8]");
  EXPECT_EQ(shape("model.layers.0.self_attn.kv_b_proj.weight"), "[14, 4]");
  EXPECT_EQ(shape("model.layers.0.self_attn.o_proj.weight"), "[8, 6]");
  EXPECT_EQ(shape("model.layers.0.mlp.gate_proj.weight"), "[6, 8]");
  EXPECT_EQ(shape("model.layers.1.mlp.gate.weight"), "[4, 8]");
  EXPECT_EQ(shape("model.layers.1.mlp.gate.e_score_correction_bias"), "[4]");
  EXPECT_EQ(shape("model.layers.1.mlp.experts.3.down_proj.weight"), "[8, 4]");
  EXPECT_EQ(shape("model.layers.1.mlp.shared_experts.up_proj.weight"), "[4, 8]");
  EXPECT_EQ(shape("model.layers.2.eh_proj.weight"), "[8, 16]");
  EXPECT_EQ(shape("model.layers.2.enorm.weight"), "[8]");
  EXPECT_EQ(shape("model.layers.2.shared_head.norm.weight"), "[8]");
  EXPECT_EQ(shape("lm_head.weight"), "[11, 8]");
  // The copies that the released MTP layer has of embedding and head.
  EXPECT_TRUE(SameBits(file.Get("model.layers.2.embed_tokens.weight"),
                       file.Get("model.embed_tokens.weight")));
  EXPECT_TRUE(
      SameBits(file.Get("model.layers.2.shared_head.head.weight"), file.Get("lm_head.weight")));
}

TEST_F(ModelDirectoryTest, ShardsAreReadThroughTheirIndex) {
  TemporaryDirectory sharded;
  const SafetensorsFile file(Path("model.safetensors"));
  std::vector<SafetensorsItem> shards[2];
  ordered_json index;
  for (const SafetensorsItem& item : Items(file)) {
    const size_t shard = item.name.size() % 2;
    shards[shard].push_back(item);
    index["weight_map"][item.name] = "part-" + std::to_string(shard);
  }
  WriteSafetensors(sharded / "part-0", shards[0], {});
  WriteSafetensors(sharded / "part-1", shards[1], {});
  fs::copy(Path("config.json"), sharded / "config.json");
  const fs::path index_path = sharded / "model.safetensors.index.json";
  Write(index_path, index.dump());
  {
    MappedModel mapped(sharded.path());
    for (const auto& parameter : store_.all()) {
      EXPECT_TRUE(SameBits(mapped.store().Get(parameter->spec.name).value, parameter->value));
    }
    EXPECT_EQ(mapped.source().bytes(), ModelSource::Open(directory_.path())->bytes());
  }
  const auto with = [&](const std::string& name, const ordered_json& value) {
    ordered_json changed = index;
    changed["weight_map"][name] = value;
    Write(index_path, changed.dump());
  };
  const std::string tensor = "lm_head.weight";
  for (const char* outside : {"../part-0", "/etc/passwd", "..", ".", "", "a/part-0"}) {
    with(tensor, outside);
    EXPECT_THROW(WeightFiles{sharded.path()}, Error) << outside;
  }
  with(tensor, "../part-0");
  EXPECT_ERROR(WeightFiles{sharded.path()}, "is not a file name");
  with(tensor, "part-7");
  EXPECT_ERROR(WeightFiles{sharded.path()}, "part-7");
  with(tensor, tensor.size() % 2 == 0 ? "part-1" : "part-0");
  EXPECT_ERROR(WeightFiles{sharded.path()}, "has no such tensor");
  with(tensor, 3);
  EXPECT_ERROR(WeightFiles{sharded.path()}, "expected a string");
  Write(index_path, "{}");
  EXPECT_ERROR(WeightFiles{sharded.path()}, "'weight_map' is missing");
  Write(index_path, "{");
  EXPECT_ERROR(WeightFiles{sharded.path()}, "JSON");
}

TEST_F(ModelDirectoryTest, AModelThatScoresTakesTheTrunkAndComesBack) {
  ModelConfig scoring = config_;
  scoring.num_labels = 1;
  scoring.num_nextn_predict_layers = 0;
  ParameterStore store(scoring, DType::kF32, HostAllocator());
  // The head is not the language model's, whose MTP module is passed over.
  EXPECT_ERROR(LoadMasters(directory_.path(), scoring, store), "score.weight");
  InitializeParameter(scoring, 7, pool_, store.Get("score.weight"));
  const float head = store.Get("score.weight").master.data<float>()[3];
  EXPECT_NE(head, 0);
  LoadTrunk(directory_.path(), scoring, store);
  EXPECT_EQ(store.Get("score.weight").master.data<float>()[3], head);
  for (const auto& parameter : store.all()) {
    if (parameter->spec.name == "score.weight") continue;
    EXPECT_TRUE(SameBits(parameter->value, store_.Get(parameter->spec.name).value))
        << parameter->spec.name;
  }

  TemporaryDirectory saved;
  SaveModel(saved.path(), scoring, store, DType::kF32);
  MappedModel mapped(saved.path());
  EXPECT_EQ(mapped.config().ToJson("float32"), scoring.ToJson("float32"));
  for (const auto& parameter : store.all())
    EXPECT_TRUE(SameBits(mapped.store().Get(parameter->spec.name).value, parameter->value));

  // What neither knows is an error, too.
  Rewrite([&](auto& items) {
    items.push_back(
        {"classifier.weight", ConstTensor(&head, DType::kF32, Shape({1, 1})), DType::kF32});
  });
  EXPECT_ERROR(LoadTrunk(directory_.path(), scoring, store), "classifier.weight");
}

TEST_F(ModelDirectoryTest, AModelWithoutItsMtpModulesTakesTheRest) {
  ASSERT_GT(config_.num_nextn_predict_layers, 0);
  ModelConfig without = config_;
  without.num_nextn_predict_layers = 0;
  ParameterStore store(without, DType::kF32, HostAllocator());
  LoadMasters(directory_.path(), without, store);
  EXPECT_LT(store.all().size(), store_.all().size());
  for (const auto& parameter : store.all()) {
    EXPECT_TRUE(SameBits(parameter->value, store_.Get(parameter->spec.name).value))
        << parameter->spec.name;
  }
  // Layers of the trunk are not left out.
  without.num_hidden_layers -= 1;
  ParameterStore shorter(without, DType::kF32, HostAllocator());
  EXPECT_ERROR(LoadMasters(directory_.path(), without, shorter),
               "is not part of this architecture");
}

TEST_F(ModelDirectoryTest, AMissingTensorIsNamed) {
  Rewrite([](auto& items) {
    std::erase_if(items, [](const auto& item) {
      return item.name == "model.layers.1.mlp.experts.2.up_proj.weight";
    });
  });
  EXPECT_ERROR(MappedModel{directory_.path()},
               "'model.layers.1.mlp.experts.2.up_proj.weight' is missing");
  EXPECT_ERROR(LoadMasters(directory_.path(), config_, store_), "is missing");
}

TEST_F(ModelDirectoryTest, ATensorTooManyIsNamed) {
  const float value = 1;
  Rewrite([&](auto& items) {
    items.push_back({"model.layers.1.self_attn.q_proj.weight",
                     ConstTensor(&value, DType::kF32, Shape({1, 1})), DType::kF32});
  });
  EXPECT_ERROR(MappedModel{directory_.path()},
               "'model.layers.1.self_attn.q_proj.weight' is not part of this architecture");
}

TEST_F(ModelDirectoryTest, AnotherShapeIsNamedWithBothShapes) {
  std::vector<float> values(8 * 11);
  Rewrite([&](auto& items) {
    Find(items, "lm_head.weight").value = ConstTensor(values.data(), DType::kF32, Shape({8, 11}));
  });
  EXPECT_ERROR(MappedModel{directory_.path()},
               "'lm_head.weight' has shape [8, 11], the configuration asks for [11, 8]");
}

TEST_F(ModelDirectoryTest, IntegersAreNotWeights) {
  std::vector<int32_t> values(8);
  Rewrite([&](auto& items) {
    SafetensorsItem& item = Find(items, "model.norm.weight");
    item.value = ConstTensor(values.data(), DType::kI32, Shape({8}));
    item.type = DType::kI32;
  });
  EXPECT_ERROR(MappedModel{directory_.path()},
               "model.norm.weight: weights of type I32 are not supported");
}

TEST_F(ModelDirectoryTest, WithoutItsMtpWeightsAModelIsReadWithoutMtp) {
  Rewrite([](auto& items) {
    std::erase_if(items, [](const auto& item) { return item.name.starts_with("model.layers.2."); });
  });
  testing::internal::CaptureStdout();
  MappedModel mapped(directory_.path());
  // The warning goes where the log goes.
  const std::string log = testing::internal::GetCapturedStdout();
  EXPECT_NE(log.find("MTP"), std::string::npos) << log;
  EXPECT_EQ(mapped.config().num_nextn_predict_layers, 0);
  EXPECT_EQ(mapped.config().num_hidden_layers, 2);
}

TEST_F(ModelDirectoryTest, MissingFilesAreErrors) {
  EXPECT_ERROR(MappedModel{directory_ / "none"}, "none");
  fs::remove(Path("model.safetensors"));
  EXPECT_ERROR(MappedModel{directory_.path()}, "has neither model.safetensors nor");
  fs::remove(Path("config.json"));
  EXPECT_ERROR(MappedModel{directory_.path()}, "config.json");
}

// ---- config.json

TEST_F(ModelDirectoryTest, EveryMissingFieldIsNamed) {
  const ordered_json whole = ordered_json::parse(config_.ToJson("float32"));
  for (const char* key :
       {"model_type", "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
        "intermediate_size", "moe_intermediate_size", "first_k_dense_replace",
        "num_experts_per_tok", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim",
        "max_position_embeddings"}) {
    ordered_json json = whole;
    json.erase(key);
    EXPECT_ERROR(ModelConfig::FromJson(json.dump(), "config.json"), key);
  }
}

TEST_F(ModelDirectoryTest, EveryImpossibleFieldIsNamed) {
  const ordered_json whole = ordered_json::parse(config_.ToJson("float32"));
  EXPECT_NO_THROW(ModelConfig::FromJson(whole.dump(), "config.json"));
  const std::pair<const char*, ordered_json> wrong[] = {
      {"model_type", "gpt2"},
      {"model_type", 3},
      {"vocab_size", 0},
      {"vocab_size", -5},
      {"vocab_size", 1e9},
      {"vocab_size", "many"},
      {"vocab_size", 10.5},
      {"vocab_size", int64_t{1} << 40},
      {"hidden_size", 0},
      {"num_hidden_layers", 0},
      {"num_attention_heads", 0},
      {"intermediate_size", -1},
      {"moe_intermediate_size", 0},
      {"first_k_dense_replace", -1},
      {"n_routed_experts", -4},
      {"n_routed_experts", 5},  // not divisible into 2 groups
      {"n_shared_experts", -1},
      {"num_experts_per_tok", 0},
      {"num_experts_per_tok", 5},
      {"num_experts_per_tok", 3},  // topk_group 1 has 2
      {"n_group", 0},
      {"n_group", 3},
      {"topk_group", 0},
      {"topk_group", 3},
      {"q_lora_rank", -1},
      {"kv_lora_rank", 0},
      {"qk_nope_head_dim", 0},
      {"qk_rope_head_dim", 3},
      {"qk_rope_head_dim", 0},
      {"v_head_dim", 0},
      {"num_nextn_predict_layers", -1},
      {"num_nextn_predict_layers", 1000},
      {"rms_norm_eps", 0},
      {"rms_norm_eps", -1e-6},
      {"max_position_embeddings", 0},
      {"rope_theta", 0},
      {"rope_scaling", {{"type", "linear"}, {"factor", 2}}},
      {"rope_scaling", {{"type", "yarn"}, {"factor", 0}}},
      {"rope_scaling", {{"type", "yarn"}, {"factor", 4}}},  // no original length
      {"hidden_act", "gelu"},
      {"scoring_func", "softmax"},
      {"topk_method", "greedy"},
      {"attention_bias", true},
      {"tie_word_embeddings", true},
      {"moe_layer_freq", 2},
      {"quantization_config", {{"quant_method", "fp8"}}},
  };
  for (const auto& [key, value] : wrong) {
    ordered_json json = whole;
    json[key] = value;
    SCOPED_TRACE(std::string(key) + " = " + value.dump());
    EXPECT_ERROR(ModelConfig::FromJson(json.dump(), "config.json"), key);
  }
  for (const char* text : {"", "{", "[]", "3", "null"}) {
    EXPECT_ERROR(ModelConfig::FromJson(text, "config.json"), "config.json");
  }
}

TEST_F(ModelDirectoryTest, ANullRankIsOneQueryProjection) {
  ordered_json json = ordered_json::parse(config_.ToJson("float32"));
  json["q_lora_rank"] = nullptr;
  const ModelConfig config = ModelConfig::FromJson(json.dump(), "config.json");
  EXPECT_EQ(config.q_lora_rank, 0);
  EXPECT_TRUE(ordered_json::parse(config.ToJson("float32"))["q_lora_rank"].is_null());
  bool found = false;
  for (const ParameterSpec& spec : ParameterSpecs(config)) {
    found = found || spec.name == "model.layers.0.self_attn.q_proj.weight";
  }
  EXPECT_TRUE(found);
}

TEST_F(ModelDirectoryTest, ConfigAndWeightsThatDisagreeAreAnError) {
  ChangeConfig([](ordered_json& json) { json["num_hidden_layers"] = 3; });
  EXPECT_THROW(MappedModel{directory_.path()}, Error);
  ChangeConfig([](ordered_json& json) {
    json["num_hidden_layers"] = 2;
    json["hidden_size"] = 16;
  });
  EXPECT_ERROR(MappedModel{directory_.path()}, "the configuration asks for");
}

}  // namespace
}  // namespace fathom::test
