#include "base/error.h"
#include "model/config_fields.h"

namespace fathom::config {

void ReadGrouped(const JsonValue& root, ModelConfig& config) {
  const bool qwen = config.family == Family::kQwen2;
  if (qwen) {
    // sliding_window and max_window_layers stand in every file and mean something only with this.
    RequireBool(root, "use_sliding_window", false);
  } else {
    RequireBool(root, "attention_bias", false);
    RequireBool(root, "mlp_bias", false);
  }
  config.rope_layout = RopeLayout::kHalves;
  config.attention_bias = qwen;
  config.tie_word_embeddings = root.BoolOr("tie_word_embeddings", false);
  config.num_key_value_heads = root.Find("num_key_value_heads")
                                   ? Size(root, "num_key_value_heads", 1)
                                   : config.num_attention_heads;
  if (root.Find("head_dim")) {
    config.head_dim = Size(root, "head_dim", 2);
  } else if (config.hidden_size % config.num_attention_heads == 0) {
    config.head_dim = config.hidden_size / config.num_attention_heads;
  } else {
    throw Error(root.path(), fmt::format("hidden_size {} cannot be divided among "
                                         "num_attention_heads {}, and there is no head_dim",
                                         config.hidden_size, config.num_attention_heads));
  }
  config.n_routed_experts = config.n_shared_experts = 0;
  config.num_nextn_predict_layers = 0;
}

void WriteGrouped(const ModelConfig& config, nlohmann::ordered_json& json) {
  json["num_key_value_heads"] = config.num_key_value_heads;
  json["head_dim"] = config.head_dim;
  if (config.family == Family::kQwen2) {
    json["use_sliding_window"] = false;
  } else {
    json["attention_bias"] = false;
    json["mlp_bias"] = false;
  }
}

}  // namespace fathom::config
