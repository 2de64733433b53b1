#include "base/error.h"
#include "model/config_fields.h"

namespace fathom::config {
namespace {

// The gate. "greedy" (V2-Lite) is a choice among all experts, whatever n_group says;
// "group_limited_greedy" (V2) scores a group by its best expert, "noaux_tc" (V3) by its best two.
void ReadGate(const JsonValue& root, ModelConfig& config) {
  config.num_experts_per_tok = Size(root, "num_experts_per_tok", 1);
  config.n_group = root.IntOr("n_group", 1);
  config.topk_group = root.IntOr("topk_group", 1);
  config.routed_scaling_factor = root.NumberOr("routed_scaling_factor", 1);
  if (config.family == Family::kDeepseekV3) {
    RequireString(root, "scoring_func", "sigmoid");
    RequireString(root, "topk_method", "noaux_tc");
    config.norm_topk_prob = root.BoolOr("norm_topk_prob", true);
    return;
  }
  RequireString(root, "scoring_func", "softmax");
  RequireBool(root, "norm_topk_prob", false);
  config.norm_topk_prob = false;
  const auto method = root.Find("topk_method");
  if (!method || method->String() == "greedy") {
    config.n_group = config.topk_group = 1;
  } else {
    RequireString(root, "topk_method", "group_limited_greedy");
  }
}

void WriteGate(const ModelConfig& config, nlohmann::ordered_json& json) {
  const bool v3 = config.family == Family::kDeepseekV3;
  json["n_routed_experts"] = config.n_routed_experts;
  json["n_shared_experts"] = config.n_shared_experts;
  json["num_experts_per_tok"] = config.num_experts_per_tok;
  json["n_group"] = config.n_group;
  json["topk_group"] = config.topk_group;
  json["norm_topk_prob"] = config.norm_topk_prob;
  json["routed_scaling_factor"] = config.routed_scaling_factor;
  json["scoring_func"] = v3 ? "sigmoid" : "softmax";
  json["topk_method"] = v3 ? "noaux_tc" : config.n_group > 1 ? "group_limited_greedy" : "greedy";
}

}  // namespace

void ReadDeepseek(const JsonValue& root, ModelConfig& config) {
  const bool v3 = config.family == Family::kDeepseekV3;
  RequireBool(root, "attention_bias", false);
  RequireBool(root, "tie_word_embeddings", false);
  RequireBool(root, "use_mla", true);
  RequireNumber(root, "moe_layer_freq", 1);
  config.rope_layout =
      root.BoolOr("rope_interleave", true) ? RopeLayout::kInterleaved : RopeLayout::kHalves;
  config.moe_intermediate_size = Size(root, "moe_intermediate_size", 1);
  config.first_k_dense_replace = Size(root, "first_k_dense_replace", 0);
  config.n_routed_experts = root.Find("n_routed_experts") ? Size(root, "n_routed_experts", 1) : 0;
  config.n_shared_experts = root.Find("n_shared_experts") ? Size(root, "n_shared_experts", 0) : 0;
  if (config.n_routed_experts > 0) ReadGate(root, config);
  config.q_lora_rank = root.Find("q_lora_rank") ? Size(root, "q_lora_rank", 1) : 0;
  config.kv_lora_rank = Size(root, "kv_lora_rank", 1);
  config.qk_nope_head_dim = Size(root, "qk_nope_head_dim", 1);
  config.qk_rope_head_dim = Size(root, "qk_rope_head_dim", 2);
  config.v_head_dim = Size(root, "v_head_dim", 1);
  if (!v3) RequireNumber(root, "num_nextn_predict_layers", 0);
  config.num_nextn_predict_layers = root.IntOr("num_nextn_predict_layers", 0);
  // Every head has a key and a value of its own; the file says so in the terms of another kind of
  // attention.
  RequireNumber(root, "num_key_value_heads", static_cast<double>(config.num_attention_heads));
}

void WriteDeepseek(const ModelConfig& config, nlohmann::ordered_json& json) {
  const bool v3 = config.family == Family::kDeepseekV3;
  json["num_key_value_heads"] = config.num_attention_heads;
  json["moe_intermediate_size"] = config.moe_intermediate_size;
  json["first_k_dense_replace"] = config.first_k_dense_replace;
  json["moe_layer_freq"] = 1;
  if (config.n_routed_experts > 0) WriteGate(config, json);
  json["q_lora_rank"] = config.q_lora_rank > 0 ? nlohmann::ordered_json(config.q_lora_rank)
                                               : nlohmann::ordered_json(nullptr);
  json["kv_lora_rank"] = config.kv_lora_rank;
  json["qk_nope_head_dim"] = config.qk_nope_head_dim;
  json["qk_rope_head_dim"] = config.qk_rope_head_dim;
  json["v_head_dim"] = config.v_head_dim;
  if (v3) {
    json["num_nextn_predict_layers"] = config.num_nextn_predict_layers;
    json["rope_interleave"] = config.rope_layout == RopeLayout::kInterleaved;
  }
  json["attention_bias"] = false;
}

}  // namespace fathom::config
