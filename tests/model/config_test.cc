// config.json of the released models, field by field as they are published, and what it makes of
// them.

#include "model/config.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/temporary_directory.h"
#include "model/parameters.h"

namespace fathom::test {
namespace {

using nlohmann::ordered_json;

ModelConfig Read(const ordered_json& json) {
  return ModelConfig::FromJson(json.dump(), "config.json");
}

// DeepSeek-R1-Distill-Qwen-1.5B; the other sizes differ in what Qwen() takes.
ordered_json Qwen(int64_t hidden, int64_t layers, int64_t heads, int64_t kv_heads,
                  int64_t intermediate, int64_t vocabulary, bool tied) {
  return {{"architectures", {"Qwen2ForCausalLM"}},
          {"attention_dropout", 0.0},
          {"bos_token_id", 151643},
          {"eos_token_id", 151643},
          {"hidden_act", "silu"},
          {"hidden_size", hidden},
          {"initializer_range", 0.02},
          {"intermediate_size", intermediate},
          {"max_position_embeddings", 131072},
          {"max_window_layers", 21},
          {"model_type", "qwen2"},
          {"num_attention_heads", heads},
          {"num_hidden_layers", layers},
          {"num_key_value_heads", kv_heads},
          {"rms_norm_eps", 1e-6},
          {"rope_theta", 10000},
          {"sliding_window", 4096},
          {"tie_word_embeddings", tied},
          {"torch_dtype", "bfloat16"},
          {"use_cache", true},
          {"use_mrope", false},
          {"use_sliding_window", false},
          {"vocab_size", vocabulary}};
}
ordered_json Qwen1B() { return Qwen(1536, 28, 12, 2, 8960, 151936, true); }

ordered_json Llama(int64_t hidden, int64_t layers, int64_t heads, int64_t intermediate) {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"attention_bias", false},
          {"attention_dropout", 0.0},
          {"bos_token_id", 128000},
          {"eos_token_id", {128001, 128008, 128009}},
          {"hidden_act", "silu"},
          {"hidden_size", hidden},
          {"initializer_range", 0.02},
          {"intermediate_size", intermediate},
          {"max_position_embeddings", 131072},
          {"mlp_bias", false},
          {"model_type", "llama"},
          {"num_attention_heads", heads},
          {"num_hidden_layers", layers},
          {"num_key_value_heads", 8},
          {"pretraining_tp", 1},
          {"rms_norm_eps", 1e-5},
          {"rope_scaling",
           {{"factor", 8.0},
            {"high_freq_factor", 4.0},
            {"low_freq_factor", 1.0},
            {"original_max_position_embeddings", 8192},
            {"rope_type", "llama3"}}},
          {"rope_theta", 500000.0},
          {"tie_word_embeddings", false},
          {"use_cache", true},
          {"vocab_size", 128256}};
}

ordered_json DeepseekV2() {
  return {{"architectures", {"DeepseekV2ForCausalLM"}},
          {"attention_bias", false},
          {"attention_dropout", 0.0},
          {"aux_loss_alpha", 0.001},
          {"bos_token_id", 100000},
          {"eos_token_id", 100001},
          {"ep_size", 1},
          {"first_k_dense_replace", 1},
          {"hidden_act", "silu"},
          {"hidden_size", 5120},
          {"initializer_range", 0.02},
          {"intermediate_size", 12288},
          {"kv_lora_rank", 512},
          {"max_position_embeddings", 163840},
          {"model_type", "deepseek_v2"},
          {"moe_intermediate_size", 1536},
          {"moe_layer_freq", 1},
          {"n_group", 8},
          {"n_routed_experts", 160},
          {"n_shared_experts", 2},
          {"norm_topk_prob", false},
          {"num_attention_heads", 128},
          {"num_experts_per_tok", 6},
          {"num_hidden_layers", 60},
          {"num_key_value_heads", 128},
          {"pretraining_tp", 1},
          {"q_lora_rank", 1536},
          {"qk_nope_head_dim", 128},
          {"qk_rope_head_dim", 64},
          {"rms_norm_eps", 1e-6},
          {"rope_scaling",
           {{"beta_fast", 32},
            {"beta_slow", 1},
            {"factor", 40},
            {"mscale", 0.707},
            {"mscale_all_dim", 0.707},
            {"original_max_position_embeddings", 4096},
            {"type", "yarn"}}},
          {"rope_theta", 10000},
          {"routed_scaling_factor", 16.0},
          {"scoring_func", "softmax"},
          {"seq_aux", true},
          {"tie_word_embeddings", false},
          {"topk_group", 3},
          {"topk_method", "group_limited_greedy"},
          {"torch_dtype", "bfloat16"},
          {"use_cache", true},
          {"v_head_dim", 128},
          {"vocab_size", 102400}};
}

ordered_json DeepseekV2Lite() {
  ordered_json json = DeepseekV2();
  json.update({{"hidden_size", 2048},
               {"intermediate_size", 10944},
               {"moe_intermediate_size", 1408},
               {"n_group", 1},
               {"n_routed_experts", 64},
               {"num_attention_heads", 16},
               {"num_hidden_layers", 27},
               {"num_key_value_heads", 16},
               {"q_lora_rank", nullptr},
               {"routed_scaling_factor", 1.0},
               {"topk_group", 1},
               {"topk_method", "greedy"}});
  return json;
}

ordered_json DeepseekV3() {
  ordered_json json = DeepseekV2();
  json.update({{"architectures", {"DeepseekV3ForCausalLM"}},
               {"bos_token_id", 0},
               {"eos_token_id", 1},
               {"first_k_dense_replace", 3},
               {"hidden_size", 7168},
               {"intermediate_size", 18432},
               {"model_type", "deepseek_v3"},
               {"moe_intermediate_size", 2048},
               {"n_routed_experts", 256},
               {"n_shared_experts", 1},
               {"norm_topk_prob", true},
               {"num_experts_per_tok", 8},
               {"num_hidden_layers", 61},
               {"num_nextn_predict_layers", 1},
               {"quantization_config",
                {{"activation_scheme", "dynamic"},
                 {"fmt", "e4m3"},
                 {"quant_method", "fp8"},
                 {"weight_block_size", {128, 128}}}},
               {"routed_scaling_factor", 2.5},
               {"scoring_func", "sigmoid"},
               {"topk_group", 4},
               {"topk_method", "noaux_tc"},
               {"vocab_size", 129280}});
  json["rope_scaling"]["mscale"] = json["rope_scaling"]["mscale_all_dim"] = 1.0;
  return json;
}

// What two configurations mean, less how their files store weights.
std::string Meaning(const ModelConfig& config) { return config.ToJson("float32"); }

TEST(Config, PresetsAreThePublishedConfigurations) {
  EXPECT_EQ(Meaning(PresetConfig("v2")), Meaning(Read(DeepseekV2())));
  EXPECT_EQ(Meaning(PresetConfig("v2-lite")), Meaning(Read(DeepseekV2Lite())));
  EXPECT_EQ(Meaning(PresetConfig("v3")), Meaning(Read(DeepseekV3())));
}

TEST(Config, ReadsQwen2) {
  const ModelConfig config = Read(Qwen1B());
  EXPECT_EQ(config.family, Family::kQwen2);
  EXPECT_EQ(config.num_key_value_heads, 2);
  EXPECT_EQ(config.head_dim, 128);
  EXPECT_TRUE(config.attention_bias);
  EXPECT_TRUE(config.tie_word_embeddings);
  EXPECT_EQ(config.rope_layout, RopeLayout::kHalves);
  EXPECT_TRUE(std::holds_alternative<std::monostate>(config.rope_scaling));
  EXPECT_EQ(config.num_nextn_predict_layers, 0);
  EXPECT_FALSE(config.IsMoeLayer(20));

  ordered_json scaled = Qwen1B();
  scaled["rope_scaling"] = {
      {"factor", 4.0}, {"original_max_position_embeddings", 32768}, {"type", "yarn"}};
  const ModelConfig yarn = Read(scaled);
  ASSERT_TRUE(std::holds_alternative<YarnScaling>(yarn.rope_scaling));
  EXPECT_EQ(std::get<YarnScaling>(yarn.rope_scaling).factor, 4);
}

TEST(Config, ReadsLlama3AndEveryEndToken) {
  const ModelConfig config = Read(Llama(4096, 32, 32, 14336));
  EXPECT_EQ(config.family, Family::kLlama);
  EXPECT_FALSE(config.attention_bias);
  EXPECT_EQ(config.rms_norm_eps, 1e-5);
  EXPECT_EQ(config.eos_token_ids, (std::vector<int64_t>{128001, 128008, 128009}));
  ASSERT_TRUE(std::holds_alternative<Llama3Scaling>(config.rope_scaling));
  const auto& scaling = std::get<Llama3Scaling>(config.rope_scaling);
  EXPECT_EQ(scaling.factor, 8);
  EXPECT_EQ(scaling.low_freq_factor, 1);
  EXPECT_EQ(scaling.high_freq_factor, 4);
  EXPECT_EQ(scaling.original_max_position_embeddings, 8192);
}

TEST(Config, NullIsNoTokenAndAMissingKeyIsTheFamilysOwn) {
  ordered_json json = Llama(4096, 32, 32, 14336);
  json["bos_token_id"] = json["eos_token_id"] = nullptr;
  const ModelConfig none = Read(json);
  EXPECT_EQ(none.bos_token_id, -1);
  EXPECT_TRUE(none.eos_token_ids.empty());
  EXPECT_EQ(Meaning(ModelConfig::FromJson(Meaning(none), "written")), Meaning(none));
  json.erase("bos_token_id");
  json.erase("eos_token_id");
  EXPECT_EQ(Read(json).bos_token_id, 1);  // LlamaConfig's
  EXPECT_EQ(Read(json).eos_token_ids, std::vector<int64_t>{2});
}

TEST(Config, ReadsHowV3StoresItsWeights) {
  const ModelConfig v3 = Read(DeepseekV3());
  ASSERT_TRUE(v3.fp8_blocks.has_value());
  EXPECT_FALSE(v3.fp8_blocks->power_of_two_scales);
  ordered_json v31 = DeepseekV3();
  v31["quantization_config"]["scale_fmt"] = "ue8m0";
  EXPECT_TRUE(Read(v31).fp8_blocks->power_of_two_scales);
  EXPECT_FALSE(Read(DeepseekV2()).fp8_blocks.has_value());
}

TEST(Config, AGreedyGateChoosesAmongAllExpertsWhateverItsGroups) {
  ordered_json json = DeepseekV2();
  json["topk_method"] = "greedy";
  EXPECT_EQ(Read(json).n_group, 1);
  EXPECT_EQ(Read(DeepseekV2()).n_group, 8);
  EXPECT_EQ(Read(DeepseekV2()).topk_group, 3);
}

TEST(Config, WhatIsWrittenIsReadAgain) {
  ordered_json without_experts = DeepseekV3();
  without_experts["first_k_dense_replace"] = without_experts["num_hidden_layers"];
  without_experts.erase("n_routed_experts");
  for (const ordered_json& json : {Qwen1B(), Llama(4096, 32, 32, 14336), DeepseekV2(),
                                   DeepseekV2Lite(), DeepseekV3(), without_experts}) {
    const std::string text = Read(json).ToJson("bfloat16");
    EXPECT_EQ(ModelConfig::FromJson(text, "written").ToJson("bfloat16"), text);
    // Every field of the published file that is written is written as it was.
    const ordered_json written = ordered_json::parse(text);
    for (const auto& [key, value] : json.items()) {
      if (written.contains(key) && key != "rope_scaling") {
        EXPECT_EQ(written[key], value) << key;
      }
    }
  }
}

// FACTS: the reports and model cards.
// In latent attention a missing mscale is 1, and 0 turns both scales of the tables off.
TEST(Config, AnMscaleOfZeroIsWrittenAsSuch) {
  ordered_json json = DeepseekV3();
  json["rope_scaling"]["mscale"] = 0;
  const ModelConfig config = Read(json);
  EXPECT_EQ(std::get<YarnScaling>(config.rope_scaling).mscale, 0);
  const ModelConfig again = ModelConfig::FromJson(config.ToJson("bfloat16"), "written");
  EXPECT_EQ(std::get<YarnScaling>(again.rope_scaling).mscale, 0);
  json["rope_scaling"].erase("mscale");
  EXPECT_EQ(std::get<YarnScaling>(Read(json).rope_scaling).mscale, 1);
}

TEST(Config, ParametersAreThePublishedOnes) {
  const auto billions = [](int64_t count) { return static_cast<double>(count) / 1e9; };
  // Active: without the embedding (vocabulary x hidden), unless it is the head too.
  const struct {
    ordered_json config;
    double total, active, tolerance;
  } models[] = {
      {DeepseekV2Lite(), 15.71, 2.45, 0.005},
      {DeepseekV2(), 235.7, 20.85, 0.05},
      {DeepseekV3(), 671.03, 36.63, 0.007},
      {Qwen1B(), 1.54, 1.54, 0.005},
      {Qwen(3584, 28, 28, 4, 18944, 152064, false), 7.62, 7.07, 0.005},
      {Qwen(5120, 48, 40, 8, 13824, 152064, false), 14.77, 13.99, 0.005},
      {Qwen(5120, 64, 40, 8, 27648, 152064, false), 32.76, 31.99, 0.005},
      {Llama(4096, 32, 32, 14336), 8.03, 7.505, 0.005},
      {Llama(8192, 80, 64, 28672), 70.55, 69.50, 0.005},
  };
  for (const auto& model : models) {
    const ParameterCounts counts = CountParameters(Read(model.config));
    EXPECT_NEAR(billions(counts.total), model.total, model.tolerance);
    EXPECT_NEAR(billions(counts.active), model.active, model.tolerance);
  }
  EXPECT_NEAR(billions(CountParameters(PresetConfig("v3")).mtp), 11.6, 0.05);
}

TEST(Config, AnUnknownFamilyIsToldTheKnownOnes) {
  ordered_json json = Qwen1B();
  json["model_type"] = "mamba";
  EXPECT_ERROR(Read(json), "'mamba' is not supported");
  EXPECT_ERROR(Read(json), "deepseek_v3, deepseek_v2, qwen2, llama");
}

TEST(Config, OtherMathematicsIsNamed) {
  const ordered_json qwen = Qwen1B(), llama = Llama(4096, 32, 32, 14336);
  const ordered_json v2 = DeepseekV2(), v3 = DeepseekV3();
  const struct {
    const ordered_json& base;
    const char* key;
    ordered_json value;
  } wrong[] = {
      {qwen, "hidden_act", "gelu"},
      {qwen, "use_sliding_window", true},
      {qwen, "layer_types", {"full_attention", "sliding_attention"}},
      {qwen, "rope_scaling", {{"type", "linear"}, {"factor", 2}}},
      {qwen, "rope_scaling", {{"type", "dynamic"}, {"factor", 2}}},
      {qwen, "rope_scaling", {{"rope_type", "longrope"}, {"factor", 2}}},
      {qwen,
       "rope_scaling",
       {{"type", "yarn"},
        {"factor", 4},
        {"original_max_position_embeddings", 64},
        {"truncate", false}}},
      {qwen,
       "rope_scaling",
       {{"type", "yarn"},
        {"factor", 4},
        {"original_max_position_embeddings", 64},
        {"beta_fast", 0}}},
      {qwen, "partial_rotary_factor", 0.5},
      {qwen, "num_key_value_heads", 5},
      {qwen, "num_key_value_heads", 0},
      {qwen, "head_dim", 7},
      {qwen, "quantization_config", {{"quant_method", "gptq"}, {"bits", 4}}},
      {llama, "attention_bias", true},
      {llama, "mlp_bias", true},
      {llama, "pretraining_tp", 2},
      {llama, "final_logit_softcapping", 30.0},
      {llama, "attn_logit_softcapping", 50.0},
      {llama, "rope_scaling", {{"rope_type", "llama3"}, {"factor", 8.0}}},
      {llama,
       "rope_scaling",
       {{"rope_type", "llama3"},
        {"factor", 8.0},
        {"low_freq_factor", 4.0},
        {"high_freq_factor", 4.0},
        {"original_max_position_embeddings", 8192}}},
      {llama, "eos_token_id", {1, "end"}},
      {v2,
       "rope_scaling",
       {{"rope_type", "llama3"},
        {"factor", 8.0},
        {"low_freq_factor", 1.0},
        {"high_freq_factor", 4.0},
        {"original_max_position_embeddings", 8192}}},
      {v2, "scoring_func", "sigmoid"},
      {v2, "topk_method", "noaux_tc"},
      {v2, "norm_topk_prob", true},
      {v2, "attention_bias", true},
      {v2, "moe_layer_freq", 2},
      {v2, "num_nextn_predict_layers", 1},
      {v2, "num_key_value_heads", 8},
      {v2, "use_mla", false},
      {v3, "topk_method", "group_limited_greedy"},
      {v3, "scoring_func", "softmax"},
      {v3, "tie_word_embeddings", true},
      {v3,
       "quantization_config",
       {{"quant_method", "fp8"}, {"fmt", "e5m2"}, {"weight_block_size", {128, 128}}}},
      {v3,
       "quantization_config",
       {{"quant_method", "fp8"}, {"fmt", "e4m3"}, {"weight_block_size", {64, 128}}}},
      {v3,
       "quantization_config",
       {{"quant_method", "fp8"},
        {"activation_scheme", "static"},
        {"weight_block_size", {128, 128}}}},
  };
  for (const auto& [base, key, value] : wrong) {
    ordered_json json = base;
    json[key] = value;
    SCOPED_TRACE(std::string(key) + " = " + value.dump());
    EXPECT_ERROR(Read(json), key);
  }
}

// Each number alone is possible; what follows from several leaves 64 bits, or the memory of a
// machine as soon as the tensors are listed.
TEST(Config, SizesThatMultiplyBeyondReasonAreNamed) {
  constexpr int64_t kLarge = int64_t{1} << 24;
  const ordered_json qwen = Qwen1B(), v3 = DeepseekV3();
  const struct {
    const ordered_json& base;
    ordered_json changes;
    const char* named;
  } wrong[] = {
      {v3, {{"hidden_size", kLarge}}, "hidden_size"},
      {v3, {{"num_hidden_layers", kLarge}}, "num_hidden_layers"},
      {v3, {{"num_hidden_layers", 10000}}, "n_routed_experts"},
      {v3, {{"num_attention_heads", kLarge}, {"num_key_value_heads", kLarge}}, "heads"},
      {v3, {{"n_shared_experts", kLarge}}, "n_shared_experts"},
      {v3, {{"kv_lora_rank", kLarge}}, "kv_lora_rank"},
      {qwen, {{"num_attention_heads", kLarge}, {"head_dim", kLarge}}, "head_dim"},
      {qwen, {{"intermediate_size", kLarge}}, "intermediate_size"},
      {qwen, {{"eos_token_id", int64_t{1} << 32}}, "eos_token_id"},
      {qwen, {{"eos_token_id", {1, -2}}}, "eos_token_id"},
      {qwen, {{"bos_token_id", int64_t{1} << 32}}, "bos_token_id"},
  };
  for (const auto& [base, changes, named] : wrong) {
    ordered_json json = base;
    json.update(changes);
    SCOPED_TRACE(changes.dump());
    EXPECT_ERROR(Read(json), named);
  }
}

TEST(Config, EveryMissingSizeOfAGroupedModelIsNamed) {
  for (const char* key : {"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
                          "intermediate_size", "max_position_embeddings"}) {
    ordered_json json = Qwen1B();
    json.erase(key);
    EXPECT_ERROR(Read(json), key);
  }
}

}  // namespace
}  // namespace fathom::test
