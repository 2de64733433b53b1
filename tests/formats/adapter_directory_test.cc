#include "formats/adapter_directory.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/temporary_directory.h"
#include "formats/adapted_source.h"
#include "formats/checkpoint_files.h"
#include "formats/mapped_model.h"
#include "formats/model_directory.h"

namespace fathom::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

ModelConfig SmallConfig() {
  ModelConfig config;
  config.vocab_size = 21;
  config.hidden_size = 10;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 2;
  config.intermediate_size = 14;
  config.moe_intermediate_size = 6;
  config.first_k_dense_replace = 1;
  config.n_routed_experts = 2;
  config.n_shared_experts = 1;
  config.num_experts_per_tok = 1;
  config.n_group = 1;
  config.topk_group = 1;
  config.q_lora_rank = 0;
  config.kv_lora_rank = 6;
  config.qk_nope_head_dim = 4;
  config.qk_rope_head_dim = 2;
  config.v_head_dim = 4;
  config.num_nextn_predict_layers = 0;
  config.max_position_embeddings = 64;
  return config;
}

const std::vector<std::string> kAll = {
    "q_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj", "gate_proj", "up_proj", "down_proj"};
constexpr char kPrefix[] = "base_model.model.model.layers.";

class AdapterDirectoryTest : public testing::Test {
 protected:
  AdapterDirectoryTest() {
    ThreadPool pool(1);
    ParameterStore store(config_, DType::kF32, HostAllocator());
    InitializeParameters(config_, 5, pool, store);
    fs::create_directories(Path("base"));
    fs::create_directories(Path("adapter"));
    SaveModel(Path("base"), config_, store, DType::kF32);
  }
  fs::path Path(const std::string& name) const { return directory_ / name; }

  // Adapters of rank 3 with values all of their own, saved.
  void Save(const AdapterOptions& options) {
    ParameterStore store(config_);
    for (const std::string& name : AdaptedMatrices(config_, options))
      store.AddAdapter(store.Get(name), options.rank, options.scale(), DType::kF32, false);
    float next = 0.5F;
    for (const auto& adapter : store.adapters()) {
      for (float& value : adapter->master.span<float>()) value = next += 0.25F;
    }
    SaveAdapter(Path("adapter"), config_, store, {.options = options, .base = Path("base")});
  }
  json Config() const { return json::parse(ReadText(Path("adapter") / kAdapterConfigFile)); }
  // Writes the configuration with another value of a field.
  void Change(const std::string& field, const json& value) {
    json config = Config();
    config[field] = value;
    WriteText(Path("adapter") / kAdapterConfigFile, config.dump());
  }
  void Open() const {
    MappedModel model(Path("base"));
    AdapterDirectory(Path("adapter")).AddTo(config_, model.store());
  }
  void ExpectRefused(const std::string& field, const json& value, const std::string& text) {
    const json before = Config();
    Change(field, value);
    EXPECT_ERROR(Open(), text);
    WriteText(Path("adapter") / kAdapterConfigFile, before.dump());
  }

  ModelConfig config_ = SmallConfig();
  TemporaryDirectory directory_;
};

TEST_F(AdapterDirectoryTest, SavedAsPeftHasThem) {
  Save({.rank = 3, .alpha = 6, .targets = kAll});
  const json config = Config();
  EXPECT_EQ(config.at("peft_type"), "LORA");
  EXPECT_EQ(config.at("task_type"), "CAUSAL_LM");
  EXPECT_EQ(config.at("r"), 3);
  EXPECT_EQ(config.at("lora_alpha"), 6);
  EXPECT_TRUE(config.at("lora_alpha").is_number_integer());
  EXPECT_EQ(config.at("base_model_name_or_path"), Path("base").string());
  EXPECT_EQ(config.at("bias"), "none");
  EXPECT_EQ(config.at("fan_in_fan_out"), false);
  // With the module before it where routed experts have a projection of that name.
  EXPECT_EQ(config.at("target_modules"),
            json({"kv_a_proj_with_mqa", "kv_b_proj", "mlp.down_proj", "mlp.gate_proj",
                  "mlp.up_proj", "o_proj", "q_proj", "shared_experts.down_proj",
                  "shared_experts.gate_proj", "shared_experts.up_proj"}));
  const SafetensorsFile file(Path("adapter") / kAdapterWeightsFile);
  EXPECT_EQ(file.entries().size(), 2 * 2 * 7);
  const std::string name = std::string(kPrefix) + "0.self_attn.q_proj.lora_";
  EXPECT_EQ(file.Get(name + "A.weight").shape(), Shape({3, 10}));
  EXPECT_EQ(file.Get(name + "B.weight").shape(), Shape({12, 3}));

  Save({.rank = 3, .alpha = 6.5, .targets = {"up_proj"}, .routed_experts = true});
  EXPECT_EQ(Config().at("target_modules"), json({"up_proj"}));
  EXPECT_EQ(Config().at("lora_alpha"), 6.5);
  EXPECT_TRUE(SafetensorsFile(Path("adapter") / kAdapterWeightsFile)
                  .entries()
                  .contains(std::string(kPrefix) + "1.mlp.experts.1.up_proj.lora_B.weight"));
}

TEST_F(AdapterDirectoryTest, ComesBackWithItsValuesAndScale) {
  Save({.rank = 3, .alpha = 6, .targets = kAll});
  MappedModel model(Path("base"));
  AdapterDirectory(Path("adapter")).AddTo(config_, model.store());
  ASSERT_EQ(model.store().adapters().size(), 28);
  float next = 0.5F;
  for (const auto& adapter : model.store().adapters()) {
    EXPECT_TRUE(adapter->grad.empty());
    for (const float value : adapter->master.span<float>()) EXPECT_EQ(value, next += 0.25F);
  }
  EXPECT_EQ(model.store().Get("model.layers.1.self_attn.o_proj.weight").adapter->scale, 2);
  Change("use_rslora", true);
  EXPECT_DOUBLE_EQ(AdapterDirectory(Path("adapter")).scale(), 6 / std::sqrt(3.0));
}

// What PEFT may write and that changes nothing.
TEST_F(AdapterDirectoryTest, FieldsThatSayNothingAreRead) {
  Save({.rank = 3, .targets = kAll});
  for (const auto& [field, value] :
       std::vector<std::pair<std::string, json>>{{"lora_dropout", 0.1},
                                                 {"init_lora_weights", "gaussian"},
                                                 {"modules_to_save", json::array()},
                                                 {"rank_pattern", json::object()},
                                                 {"exclude_modules", nullptr},
                                                 {"corda_config", nullptr},
                                                 {"target_modules", ".*_proj"},
                                                 {"peft_version", "0.99"}}) {
    Change(field, value);
    EXPECT_NO_THROW(Open()) << field;
  }
}

TEST_F(AdapterDirectoryTest, FieldsThatChangeTheMathematicsAreRefusedByName) {
  Save({.rank = 3, .targets = kAll});
  ExpectRefused("peft_type", "IA3", "adapter_config.json: peft_type: is \"IA3\"");
  ExpectRefused("use_dora", true, "adapter_config.json: use_dora: is true");
  ExpectRefused("bias", "all", "adapter_config.json: bias: is \"all\"");
  ExpectRefused("fan_in_fan_out", true, "adapter_config.json: fan_in_fan_out");
  ExpectRefused("modules_to_save", {"lm_head"}, "adapter_config.json: modules_to_save");
  ExpectRefused("rank_pattern", {{"q_proj", 8}}, "adapter_config.json: rank_pattern");
  ExpectRefused("alpha_pattern", {{"q_proj", 8}}, "adapter_config.json: alpha_pattern");
  ExpectRefused("init_lora_weights", "pissa_niter_16", "adapter_config.json: init_lora_weights");
  ExpectRefused("trainable_token_indices", {1}, "adapter_config.json: trainable_token_indices");
  ExpectRefused("r", 0, "adapter_config.json: r: is 0");
  ExpectRefused("r", "3", "adapter_config.json: r");
  ExpectRefused("r", 4, ", and r is 4 in adapter_config.json");
  Save({.rank = 3, .targets = {"q_proj"}});
  ExpectRefused("target_modules", {"q_proj", "gate_proj"},
                "mlp.gate_proj.lora_A.weight' is missing, and target_modules in");
}

TEST_F(AdapterDirectoryTest, OtherTensorsThanTheModelsAreErrors) {
  const auto write = [&](const std::string& name, const std::string& part,
                         std::vector<int64_t> shape) {
    const auto count = static_cast<size_t>(shape[0] * shape[1]);
    return MakeRaw(kPrefix + name + part, "F32", shape, std::vector<float>(count, 1));
  };
  const auto save = [&](const std::vector<RawTensor>& tensors) {
    Save({.rank = 3, .targets = {"q_proj"}});
    Change("target_modules", "anything");
    WriteRaw(Path("adapter") / kAdapterWeightsFile, tensors);
  };
  const std::string q = "0.self_attn.q_proj";
  save({write(q, ".lora_A.weight", {3, 10}), write(q, ".lora_B.weight", {12, 3})});
  EXPECT_NO_THROW(Open());
  save({write(q, ".lora_A.weight", {3, 10})});
  EXPECT_ERROR(Open(), "q_proj.lora_B.weight' is missing");
  save({write(q, ".lora_B.weight", {12, 3})});
  EXPECT_ERROR(Open(), "q_proj.lora_A.weight' is missing");
  save({write(q, ".lora_A.weight", {3, 11}), write(q, ".lora_B.weight", {12, 3})});
  EXPECT_ERROR(Open(), "q_proj.lora_A.weight: has shape [3, 11], the model asks for [3, 10]");
  save({write(q, ".lora_A.weight", {3, 10}), write(q, ".lora_B.weight", {10, 3})});
  EXPECT_ERROR(Open(), "q_proj.lora_B.weight: has shape [10, 3], the model asks for [12, 3]");
  const std::string other = "0.self_attn.k_proj";
  save({write(other, ".lora_A.weight", {3, 10}), write(other, ".lora_B.weight", {12, 3})});
  EXPECT_ERROR(Open(), "the model has no projection 'model.layers.0.self_attn.k_proj'");
  save({write(q, ".lora_magnitude_vector", {3, 10})});
  EXPECT_ERROR(Open(), "is not part of a LoRA adapter");
  save({});
  EXPECT_ERROR(Open(), "has no tensors");
  fs::remove(Path("adapter") / kAdapterWeightsFile);
  EXPECT_ERROR(Open(), "has no adapter_model.safetensors");
  fs::remove(Path("adapter") / kAdapterConfigFile);
  EXPECT_ERROR(Open(), "has no adapter_config.json");
}

// A whole number of eighths everywhere: exact.
TEST_F(AdapterDirectoryTest, MergedRowsAreTheSum) {
  Save({.rank = 3, .alpha = 6, .targets = {"o_proj"}});
  const MappedModel model(Path("base"));
  const AdapterDirectory adapter(Path("adapter"));
  const AdaptedSource merged(model.source(), adapter);
  const std::string name = "model.layers.1.self_attn.o_proj.weight";
  const auto read = [](const StoredTensor& tensor) {
    std::vector<float> values(static_cast<size_t>(tensor.shape().elements()));
    tensor.Read(0, Tensor(values.data(), DType::kF32, tensor.shape()));
    return values;
  };
  const auto a = read(*adapter.matrices().at(name).a), b = read(*adapter.matrices().at(name).b);
  const auto before = read(*model.source().Find(name)), after = read(*merged.Find(name));
  for (size_t row = 0; row < 10; ++row) {
    for (size_t column = 0; column < 8; ++column) {
      float sum = 0;
      for (size_t k = 0; k < 3; ++k) sum += 2 * b[row * 3 + k] * a[k * 8 + column];
      EXPECT_EQ(after[row * 8 + column], before[row * 8 + column] + sum);
    }
  }
  const std::string untouched = "model.layers.1.self_attn.q_proj.weight";
  EXPECT_EQ(merged.Find(untouched), model.source().Find(untouched));
  EXPECT_EQ(merged.names(), model.source().names());
}

}  // namespace
}  // namespace fathom::test
