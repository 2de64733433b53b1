#include "model/config.h"

#include <fmt/ranges.h>

#include <array>
#include <cmath>

#include "base/error.h"
#include "model/config_fields.h"

namespace fathom {
namespace {

constexpr std::string_view kClassifier = "ForSequenceClassification";

struct FamilyNames {
  Family family;
  // architecture: of config.json, without what the head adds to it.
  std::string_view model_type, architecture;
  // What transformers takes where config.json does not say; -1: none.
  int64_t bos, eos;
};

constexpr std::array<FamilyNames, 4> kFamilies = {{
    {Family::kDeepseekV3, "deepseek_v3", "DeepseekV3", 0, 1},
    {Family::kDeepseekV2, "deepseek_v2", "DeepseekV2", 1, 2},
    {Family::kQwen2, "qwen2", "Qwen2", -1, -1},
    {Family::kLlama, "llama", "Llama", 1, 2},
}};

const FamilyNames& NamesOf(Family family) {
  for (const FamilyNames& names : kFamilies) {
    if (names.family == family) return names;
  }
  internal::CheckFailed("family", __FILE__, __LINE__, "unknown family");
}

const FamilyNames& FamilyOf(const JsonValue& root) {
  const JsonValue type = root.At("model_type");
  std::vector<std::string_view> known;
  for (const FamilyNames& names : kFamilies) {
    if (type.String() == names.model_type) return names;
    known.push_back(names.model_type);
  }
  throw Error(type.path(), fmt::format("model_type '{}' is not supported", type.String()),
              fmt::format("known are {}", fmt::join(known, ", ")));
}

// Fields of other architectures that derive from the known ones.
void RefuseOtherMathematics(const JsonValue& root) {
  config::RequireString(root, "hidden_act", "silu");
  config::RequireNumber(root, "pretraining_tp", 1);
  for (const char* key : {"attn_logit_softcapping", "final_logit_softcapping", "logit_scale",
                          "clip_qkv", "embedding_multiplier", "residual_multiplier",
                          "attention_multiplier", "logits_scaling", "index_topk"}) {
    config::RequireNone(root, key);
  }
  for (const char* key : {"use_qk_norm", "qk_layernorm"}) config::RequireBool(root, key, false);
  if (const auto layers = root.Find("layer_types")) {
    for (const JsonValue& layer : layers->Array()) {
      if (layer.String() != "full_attention") {
        throw Error(layer.path(), fmt::format("layer_types '{}' is not supported", layer.String()),
                    "only 'full_attention' is");
      }
    }
  }
}

void ReadQuantization(const JsonValue& root, ModelConfig& config) {
  const auto quantization = root.Find("quantization_config");
  if (!quantization) return;
  const JsonValue method = quantization->At("quant_method");
  if (method.String() != "fp8") {
    throw Error(method.path(), fmt::format("quant_method '{}' is not supported", method.String()),
                "only fp8 in blocks of 128 x 128 is; use the bf16 or f32 weights");
  }
  config::RequireString(*quantization, "fmt", "e4m3");
  config::RequireString(*quantization, "activation_scheme", "dynamic");
  const JsonValue block = quantization->At("weight_block_size");
  const std::vector<JsonValue> sizes = block.Array();
  if (sizes.size() != 2 || sizes[0].Int() != Fp8Blocks::kRows ||
      sizes[1].Int() != Fp8Blocks::kColumns) {
    throw Error(block.path(), "these blocks are not supported", "only [128, 128] is");
  }
  Fp8Blocks blocks;
  if (quantization->Find("scale_fmt")) {
    config::RequireString(*quantization, "scale_fmt", "ue8m0");
    blocks.power_of_two_scales = true;
  }
  config.fp8_blocks = blocks;
}

// An id is stored in 32 bits from here on.
int64_t TokenId(const JsonValue& value) {
  const int64_t id = value.Int();
  if (id < -1 || id > INT32_MAX) {
    throw Error(value.path(), fmt::format("{} is not a token id", id));
  }
  return id;
}

// null says that there is none; a missing key leaves it to the family.
bool IsNull(const JsonValue& root, std::string_view key) {
  for (const auto& [name, value] : root.Object()) {
    if (name == key) return value.IsNull();
  }
  return false;
}

void ReadTokens(const JsonValue& root, const FamilyNames& names, ModelConfig& config) {
  const auto bos = root.Find("bos_token_id");
  config.bos_token_id = bos ? TokenId(*bos) : IsNull(root, "bos_token_id") ? -1 : names.bos;
  config.eos_token_ids.clear();
  const auto eos = root.Find("eos_token_id");
  if (eos && eos->IsArray()) {
    for (const JsonValue& id : eos->Array()) config.eos_token_ids.push_back(TokenId(id));
  } else if (eos) {
    config.eos_token_ids.push_back(TokenId(*eos));
  } else if (names.eos >= 0 && !IsNull(root, "eos_token_id")) {
    config.eos_token_ids.push_back(names.eos);
  }
}

// A sequence classifier's: transformers takes two labels where nothing says how many.
int64_t LabelsOf(const JsonValue& root) {
  const auto architectures = root.Find("architectures");
  if (!architectures) return 0;
  const std::vector<JsonValue> names = architectures->Array();
  if (names.empty() || !names[0].String().ends_with(kClassifier)) return 0;
  const auto names_of_labels = root.Find("id2label");
  const int64_t labels = root.Find("num_labels") ? config::Size(root, "num_labels", 1)
                         : names_of_labels ? static_cast<int64_t>(names_of_labels->Object().size())
                                           : 2;
  if (labels != 1) {
    throw Error(root.path(),
                fmt::format("a {} with {} labels is not supported", kClassifier, labels),
                "only reward models are, which have one");
  }
  return labels;
}

// Keeps the number of tensors small enough to be listed, and sums over all elements inside 64 bits,
// before anything is made of either: a file may say anything.
void RequirePossibleSizes(const ModelConfig& c, std::string_view where) {
  constexpr int64_t kWidest = int64_t{1} << 20, kMostLayers = 10000, kMostExperts = 1 << 18;
  const auto bound = [&](std::string_view what, int64_t size, int64_t most) {
    if (size > most)
      throw Error(where, fmt::format("{} is {}, more than the {} supported", what, size, most));
  };
  bound("hidden_size", c.hidden_size, kWidest);
  bound("intermediate_size", c.intermediate_size, kWidest);
  bound("num_hidden_layers", c.num_hidden_layers, kMostLayers);
  bound("the product of num_hidden_layers and n_routed_experts",
        c.num_hidden_layers * c.n_routed_experts, kMostExperts);
  if (!c.latent_attention()) {
    bound("the product of num_attention_heads and head_dim", c.num_attention_heads * c.head_dim,
          kWidest);
    return;
  }
  bound("the product of num_attention_heads and the dimensions of a head",
        c.num_attention_heads * (c.qk_nope_head_dim + c.qk_rope_head_dim + c.v_head_dim), kWidest);
  bound("kv_lora_rank", c.kv_lora_rank, kWidest);
  bound("q_lora_rank", c.q_lora_rank, kWidest);
  bound("moe_intermediate_size", c.moe_intermediate_size, kWidest);
  bound("the product of n_shared_experts and moe_intermediate_size",
        c.n_shared_experts * c.moe_intermediate_size, kWidest);
}

}  // namespace

namespace config {

int64_t Size(const JsonValue& root, std::string_view key, int64_t smallest) {
  constexpr int64_t kLargest = int64_t{1} << 24;
  const JsonValue value = root.At(key);
  const int64_t size = value.Int();
  if (size < smallest || size > kLargest) {
    throw Error(value.path(), fmt::format("{} is out of range [{}, {}]", size, smallest, kLargest));
  }
  return size;
}

double Positive(const JsonValue& value) {
  const double number = value.Number();
  if (!(number > 0) || !std::isfinite(number))
    throw Error(value.path(), fmt::format("{} is not positive", number));
  return number;
}

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

void RequireNumber(const JsonValue& root, std::string_view key, double supported) {
  const auto value = root.Find(key);
  if (value && value->Number() != supported) {
    throw Error(value->path(), fmt::format("{} is not supported", value->Number()),
                fmt::format("only {} is", supported));
  }
}

void RequireNone(const JsonValue& root, std::string_view key) {
  if (const auto value = root.Find(key)) throw Error(value->path(), "is not supported");
}

}  // namespace config

std::string_view Name(Family family) { return NamesOf(family).model_type; }

ModelConfig ModelConfig::FromJson(std::string_view text, std::string_view where) {
  const JsonDocument document(text, where);
  const JsonValue& root = document.root();
  const FamilyNames& names = FamilyOf(root);
  RefuseOtherMathematics(root);

  ModelConfig config;
  config.family = names.family;
  config.vocab_size = config::Size(root, "vocab_size", 1);
  config.hidden_size = config::Size(root, "hidden_size", 1);
  config.num_hidden_layers = config::Size(root, "num_hidden_layers", 1);
  config.num_attention_heads = config::Size(root, "num_attention_heads", 1);
  config.intermediate_size = config::Size(root, "intermediate_size", 1);
  if (const auto eps = root.Find("rms_norm_eps")) config.rms_norm_eps = config::Positive(*eps);
  config.max_position_embeddings = config::Size(root, "max_position_embeddings", 1);
  config.initializer_range = root.NumberOr("initializer_range", 0.02);
  ReadTokens(root, names, config);
  ReadQuantization(root, config);
  if (config.latent_attention()) {
    config::ReadDeepseek(root, config);
  } else {
    config::ReadGrouped(root, config);
  }
  config::ReadRope(root, config);
  config.num_labels = LabelsOf(root);
  config.Validate(where);
  return config;
}

std::string ModelConfig::ToJson(std::string_view dtype) const {
  const FamilyNames& names = NamesOf(family);
  nlohmann::ordered_json json;
  json["architectures"] = {
      fmt::format("{}{}", names.architecture, num_labels > 0 ? kClassifier : "ForCausalLM")};
  json["model_type"] = names.model_type;
  json["torch_dtype"] = dtype;
  json["vocab_size"] = vocab_size;
  json["hidden_size"] = hidden_size;
  json["num_hidden_layers"] = num_hidden_layers;
  json["num_attention_heads"] = num_attention_heads;
  json["intermediate_size"] = intermediate_size;
  if (latent_attention()) {
    config::WriteDeepseek(*this, json);
  } else {
    config::WriteGrouped(*this, json);
  }
  json["hidden_act"] = "silu";
  json["rms_norm_eps"] = rms_norm_eps;
  json["max_position_embeddings"] = max_position_embeddings;
  config::WriteRope(*this, json);
  json["attention_dropout"] = 0.0;
  json["tie_word_embeddings"] = tie_word_embeddings;
  json["initializer_range"] = initializer_range;
  if (bos_token_id >= 0) {
    json["bos_token_id"] = bos_token_id;
  } else {
    json["bos_token_id"] = nullptr;
  }
  if (eos_token_ids.size() == 1) {
    json["eos_token_id"] = eos_token_ids[0];
  } else if (eos_token_ids.empty()) {
    json["eos_token_id"] = nullptr;
  } else {
    json["eos_token_id"] = eos_token_ids;
  }
  if (num_labels > 0) {
    json["num_labels"] = num_labels;
    json["id2label"] = {{"0", "LABEL_0"}};
    json["label2id"] = {{"LABEL_0", 0}};
  }
  json["use_cache"] = true;
  return json.dump(2) + "\n";
}

void ModelConfig::RequireHead(ModelHead wanted, std::string_view where) const {
  if (head() == wanted) return;
  if (wanted == ModelHead::kLanguage) {
    throw Error(where, "is a reward model: it scores texts, and writes none",
                "`fathom score --rows` scores with it");
  }
  throw Error(where, "is a language model, and has no head that scores",
              "`fathom reward` makes a reward model of it");
}

void ModelConfig::Validate(std::string_view where) const {
  const auto require = [&](bool holds, const std::string& what) {
    if (!holds) throw Error(where, what);
  };
  RequirePossibleSizes(*this, where);
  require(num_labels == 0 || num_labels == 1,
          fmt::format("num_labels is {}, and only 1 is supported", num_labels));
  require(num_labels == 0 || num_nextn_predict_layers == 0,
          "a reward model has no MTP modules (num_nextn_predict_layers)");
  if (!latent_attention()) {
    require(head_dim % 2 == 0, fmt::format("head_dim {} is odd", head_dim));
    require(num_key_value_heads >= 1 && num_attention_heads % num_key_value_heads == 0,
            fmt::format("num_attention_heads {} cannot be divided among num_key_value_heads {}",
                        num_attention_heads, num_key_value_heads));
    return;
  }
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
