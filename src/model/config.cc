#include "model/config.h"

#include <fmt/ranges.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"

namespace fathom {
namespace {

// The bound on any size in a config.json: products of two stay far inside 64 bits.
constexpr int64_t kLargestSize = int64_t{1} << 24;

int64_t Size(const JsonValue& root, std::string_view key, int64_t smallest) {
  const JsonValue value = root.At(key);
  const int64_t size = value.Int();
  if (size < smallest || size > kLargestSize) {
    throw Error(value.path(),
                fmt::format("{} is out of range [{}, {}]", size, smallest, kLargestSize));
  }
  return size;
}

double Positive(const JsonValue& value) {
  const double number = value.Number();
  if (!(number > 0) || !std::isfinite(number))
    throw Error(value.path(), fmt::format("{} is not positive", number));
  return number;
}

// A field that changes the mathematics and that only one value of is supported.
void RequireString(const JsonValue& root, std::string_view key, std::string_view supported) {
  const auto value = root.Find(key);
  if (value && value->String() != supported) {
    throw Error(value->path(), fmt::format("'{}' is not supported", value->String()),
                fmt::format("only '{}' is", supported));
  }
}

void RequireBool(const JsonValue& root, std::string_view key, bool supported) {
  const auto value = root.Find(key);
  if (value && value->Bool() != supported) {
    throw Error(value->path(), fmt::format("{} is not supported", !supported));
  }
}

// transformers 5 writes one "rope_parameters"; earlier files have "rope_theta" and "rope_scaling".
void ReadRope(const JsonValue& root, ModelConfig& config) {
  auto scaling = root.Find("rope_parameters");
  if (!scaling) scaling = root.Find("rope_scaling");
  if (const auto theta = root.Find("rope_theta")) config.rope_theta = Positive(*theta);
  if (!scaling) return;
  if (const auto theta = scaling->Find("rope_theta")) config.rope_theta = Positive(*theta);
  auto type = scaling->Find("rope_type");
  if (!type) type = scaling->Find("type");
  if (!type || type->String() == "default") return;
  if (type->String() != "yarn") {
    throw Error(type->path(), fmt::format("rope scaling '{}' is not supported", type->String()),
                "only 'yarn' is");
  }
  YarnScaling yarn;
  yarn.factor = Positive(scaling->At("factor"));
  yarn.beta_fast = scaling->NumberOr("beta_fast", 32);
  yarn.beta_slow = scaling->NumberOr("beta_slow", 1);
  yarn.original_max_position_embeddings = Size(*scaling, "original_max_position_embeddings", 1);
  yarn.mscale = scaling->NumberOr("mscale", 1);
  yarn.mscale_all_dim = scaling->NumberOr("mscale_all_dim", 0);
  config.yarn = yarn;
}

}  // namespace

ModelConfig ModelConfig::FromJson(std::string_view text, std::string_view where) {
  const JsonDocument document(text, where);
  const JsonValue& root = document.root();
  const std::string_view type = root.At("model_type").String();
  if (type != "deepseek_v3") {
    throw Error(where, fmt::format("model_type '{}' is not supported", type),
                "only 'deepseek_v3' is");
  }
  RequireString(root, "hidden_act", "silu");
  RequireString(root, "scoring_func", "sigmoid");
  RequireString(root, "topk_method", "noaux_tc");
  RequireBool(root, "attention_bias", false);
  RequireBool(root, "tie_word_embeddings", false);
  RequireBool(root, "rope_interleave", true);
  if (root.Find("quantization_config")) {
    throw Error(where, "quantization_config: quantised weights are not supported",
                "use the bf16 or f32 weights");
  }
  if (root.IntOr("moe_layer_freq", 1) != 1)
    throw Error(where, "moe_layer_freq: only 1 is supported");

  ModelConfig config;
  config.vocab_size = Size(root, "vocab_size", 1);
  config.hidden_size = Size(root, "hidden_size", 1);
  config.num_hidden_layers = Size(root, "num_hidden_layers", 1);
  config.num_attention_heads = Size(root, "num_attention_heads", 1);
  config.intermediate_size = Size(root, "intermediate_size", 1);
  config.moe_intermediate_size = Size(root, "moe_intermediate_size", 1);
  config.first_k_dense_replace = Size(root, "first_k_dense_replace", 0);
  config.n_routed_experts = root.Find("n_routed_experts") ? Size(root, "n_routed_experts", 1) : 0;
  config.n_shared_experts = root.Find("n_shared_experts") ? Size(root, "n_shared_experts", 0) : 0;
  if (config.n_routed_experts > 0) {
    config.num_experts_per_tok = Size(root, "num_experts_per_tok", 1);
    config.n_group = root.IntOr("n_group", 1);
    config.topk_group = root.IntOr("topk_group", 1);
    config.norm_topk_prob = root.BoolOr("norm_topk_prob", true);
    config.routed_scaling_factor = root.NumberOr("routed_scaling_factor", 1);
  }
  config.q_lora_rank = root.Find("q_lora_rank") ? Size(root, "q_lora_rank", 1) : 0;
  config.kv_lora_rank = Size(root, "kv_lora_rank", 1);
  config.qk_nope_head_dim = Size(root, "qk_nope_head_dim", 1);
  config.qk_rope_head_dim = Size(root, "qk_rope_head_dim", 2);
  config.v_head_dim = Size(root, "v_head_dim", 1);
  config.num_nextn_predict_layers = root.IntOr("num_nextn_predict_layers", 0);
  if (const auto eps = root.Find("rms_norm_eps")) config.rms_norm_eps = Positive(*eps);
  config.max_position_embeddings = Size(root, "max_position_embeddings", 1);
  config.initializer_range = root.NumberOr("initializer_range", 0.02);
  config.bos_token_id = root.IntOr("bos_token_id", 0);
  const auto eos = root.Find("eos_token_id");
  config.eos_token_id = !eos                                      ? 1
                        : eos->IsArray() && !eos->Array().empty() ? eos->Array()[0].Int()
                                                                  : eos->Int();
  ReadRope(root, config);
  config.Validate(where);
  return config;
}

std::string ModelConfig::ToJson(std::string_view dtype) const {
  nlohmann::ordered_json json;
  json["architectures"] = {"DeepseekV3ForCausalLM"};
  json["model_type"] = "deepseek_v3";
  json["torch_dtype"] = dtype;
  json["vocab_size"] = vocab_size;
  json["hidden_size"] = hidden_size;
  json["num_hidden_layers"] = num_hidden_layers;
  json["num_nextn_predict_layers"] = num_nextn_predict_layers;
  json["num_attention_heads"] = num_attention_heads;
  json["num_key_value_heads"] = num_attention_heads;
  json["intermediate_size"] = intermediate_size;
  json["moe_intermediate_size"] = moe_intermediate_size;
  json["first_k_dense_replace"] = first_k_dense_replace;
  json["moe_layer_freq"] = 1;
  json["n_routed_experts"] = n_routed_experts;
  json["n_shared_experts"] = n_shared_experts;
  json["num_experts_per_tok"] = num_experts_per_tok;
  json["n_group"] = n_group;
  json["topk_group"] = topk_group;
  json["norm_topk_prob"] = norm_topk_prob;
  json["routed_scaling_factor"] = routed_scaling_factor;
  json["scoring_func"] = "sigmoid";
  json["topk_method"] = "noaux_tc";
  json["q_lora_rank"] =
      q_lora_rank > 0 ? nlohmann::ordered_json(q_lora_rank) : nlohmann::ordered_json(nullptr);
  json["kv_lora_rank"] = kv_lora_rank;
  json["qk_nope_head_dim"] = qk_nope_head_dim;
  json["qk_rope_head_dim"] = qk_rope_head_dim;
  json["v_head_dim"] = v_head_dim;
  json["hidden_act"] = "silu";
  json["rms_norm_eps"] = rms_norm_eps;
  json["max_position_embeddings"] = max_position_embeddings;
  json["rope_theta"] = rope_theta;
  if (yarn) {
    json["rope_scaling"] = {
        {"type", "yarn"},
        {"factor", yarn->factor},
        {"beta_fast", yarn->beta_fast},
        {"beta_slow", yarn->beta_slow},
        {"original_max_position_embeddings", yarn->original_max_position_embeddings},
        {"mscale", yarn->mscale},
        {"mscale_all_dim", yarn->mscale_all_dim}};
  } else {
    json["rope_scaling"] = nullptr;
  }
  json["attention_bias"] = false;
  json["attention_dropout"] = 0.0;
  json["tie_word_embeddings"] = false;
  json["initializer_range"] = initializer_range;
  json["bos_token_id"] = bos_token_id;
  json["eos_token_id"] = eos_token_id;
  json["use_cache"] = true;
  return json.dump(2) + "\n";
}

void ModelConfig::Validate(std::string_view where) const {
  const auto require = [&](bool holds, const std::string& what) {
    if (!holds) throw Error(where, what);
  };
  require(qk_rope_head_dim % 2 == 0, fmt::format("qk_rope_head_dim {} is odd", qk_rope_head_dim));
  require(
      num_nextn_predict_layers >= 0 && num_nextn_predict_layers <= 16,
      fmt::format("num_nextn_predict_layers {} is out of range [0, 16]", num_nextn_predict_layers));
  if (n_routed_experts == 0) return;
  require(num_experts_per_tok <= n_routed_experts,
          fmt::format("num_experts_per_tok {} is larger than n_routed_experts {}",
                      num_experts_per_tok, n_routed_experts));
  require(n_group >= 1 && n_routed_experts % n_group == 0,
          fmt::format("n_routed_experts {} cannot be divided into n_group {} groups",
                      n_routed_experts, n_group));
  require(topk_group >= 1 && topk_group <= n_group,
          fmt::format("topk_group {} is out of range [1, n_group {}]", topk_group, n_group));
  require(
      num_experts_per_tok <= topk_group * (n_routed_experts / n_group),
      fmt::format("num_experts_per_tok {} is larger than the {} experts of topk_group {} groups",
                  num_experts_per_tok, topk_group * (n_routed_experts / n_group), topk_group));
}

}  // namespace fathom
