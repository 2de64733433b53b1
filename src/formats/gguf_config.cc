#include "formats/gguf_config.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>

#include "base/error.h"
#include "model/rope.h"

namespace fathom {
namespace {

using nlohmann::ordered_json;

constexpr int64_t kLargestSize = int64_t{1} << 24;  // as in config.json (config_fields.h)
constexpr int64_t kSigmoidGate = 2;

// Says in the words of a config.json what the file says, so that one reader decides what is
// possible and supported.
class ConfigReader {
 public:
  ConfigReader(const GgufMetadata& metadata, const std::vector<GgufTensor>& tensors)
      : metadata_(metadata),
        tensors_(tensors),
        architecture_(metadata.At("general.architecture").String()) {}

  ModelConfig Read() {
    if (architecture_ == "deepseek2") {
      ReadDeepseek();
    } else if (architecture_ == "qwen2" || architecture_ == "llama") {
      ReadGrouped();
    } else {
      throw Error(metadata_.At("general.architecture").where(),
                  fmt::format("'{}' is not supported", architecture_),
                  "deepseek2, qwen2 and llama are");
    }
    ReadCommon();
    return ModelConfig::FromJson(json_.dump(), metadata_.file());
  }

 private:
  std::string Key(std::string_view name) const { return fmt::format("{}.{}", architecture_, name); }
  const GgufValue* Find(std::string_view name) const { return metadata_.Find(Key(name)); }
  int64_t Size(std::string_view name, int64_t smallest = 1) const {
    return metadata_.At(Key(name)).Int(smallest, kLargestSize);
  }
  int64_t SizeOr(std::string_view name, int64_t fallback) const {
    return Find(name) ? Size(name, 0) : fallback;
  }
  double NumberOr(std::string_view name, double fallback) const {
    const GgufValue* value = Find(name);
    return value ? value->Number() : fallback;
  }
  const GgufTensor* Tensor(std::string_view name) const {
    const auto found = std::find_if(tensors_.begin(), tensors_.end(),
                                    [&](const GgufTensor& tensor) { return tensor.name == name; });
    return found == tensors_.end() ? nullptr : &*found;
  }

  void ReadCommon() {
    const GgufTensor* embedding = Tensor("token_embd.weight");
    if (embedding == nullptr)
      throw Error(metadata_.file(), "tensor 'token_embd.weight' is missing");
    if (embedding->dims.size() != 2 || embedding->dims[1] > kLargestSize)
      throw Error(embedding->where, "is not a matrix of a possible vocabulary");
    json_["vocab_size"] = embedding->dims[1];
    json_["hidden_size"] = Size("embedding_length");
    json_["num_attention_heads"] = Size("attention.head_count");
    json_["intermediate_size"] = Size("feed_forward_length");
    json_["max_position_embeddings"] = Size("context_length");
    json_["rms_norm_eps"] = metadata_.At(Key("attention.layer_norm_rms_epsilon")).Number();
    json_["rope_theta"] = NumberOr("rope.freq_base", 10000);
    json_["hidden_act"] = "silu";
    ReadTokens();
    if (Find("attention.sliding_window") != nullptr && Size("attention.sliding_window", 0) > 0)
      NotSupported("attention.sliding_window");
  }

  [[noreturn]] void NotSupported(std::string_view name) const {
    throw Error(metadata_.At(Key(name)).where(), "is not supported");
  }

  void ReadTokens() {
    constexpr const char* kBegin = "tokenizer.ggml.bos_token_id";
    json_["bos_token_id"] = -1;
    if (const GgufValue* begin = metadata_.Find(kBegin))
      json_["bos_token_id"] = begin->Int(0, kLargestSize);
    json_["eos_token_id"] = ordered_json::array();
    for (const char* key : kGgufEndTokenKeys) {
      const GgufValue* value = metadata_.Find(key);
      if (value == nullptr) continue;
      const int64_t id = value->Int(0, kLargestSize);
      ordered_json& ends = json_["eos_token_id"];
      if (std::find(ends.begin(), ends.end(), id) == ends.end()) ends.push_back(id);
    }
  }

  void ReadDeepseek() {
    const bool sigmoid = SizeOr("expert_gating_func", 1) == kSigmoidGate;
    json_["model_type"] = sigmoid ? "deepseek_v3" : "deepseek_v2";
    const int64_t blocks = Size("block_count");
    int64_t mtp = SizeOr("nextn_predict_layers", 0);
    if (mtp >= blocks) {
      throw Error(metadata_.At(Key("nextn_predict_layers")).where(),
                  fmt::format("{} of {} blocks", mtp, blocks));
    }
    json_["num_hidden_layers"] = blocks - mtp;
    // Files without the tensors of these layers keep their count.
    if (Tensor(fmt::format("blk.{}.nextn.eh_proj.weight", blocks - mtp)) == nullptr) mtp = 0;
    json_["num_nextn_predict_layers"] = mtp;

    const int64_t experts = SizeOr("expert_count", 0);
    json_["n_routed_experts"] = experts > 0 ? ordered_json(experts) : ordered_json(nullptr);
    json_["moe_intermediate_size"] = Size("expert_feed_forward_length");
    json_["first_k_dense_replace"] = SizeOr("leading_dense_block_count", 0);
    json_["n_shared_experts"] = SizeOr("expert_shared_count", 0);
    if (experts > 0) {
      const int64_t groups = SizeOr("expert_group_count", 0);
      json_["num_experts_per_tok"] = Size("expert_used_count");
      json_["n_group"] = std::max<int64_t>(1, groups);
      json_["topk_group"] = groups > 1 ? Size("expert_group_used_count") : 1;
      json_["topk_method"] = sigmoid ? "noaux_tc" : groups > 1 ? "group_limited_greedy" : "greedy";
      json_["scoring_func"] = sigmoid ? "sigmoid" : "softmax";
      const GgufValue* norm = Find("expert_weights_norm");
      json_["norm_topk_prob"] = norm != nullptr && norm->Bool();
      const double scale = NumberOr("expert_weights_scale", 1);
      json_["routed_scaling_factor"] = scale == 0 ? 1 : scale;
    }

    const int64_t rope = Size("rope.dimension_count", 2);
    // Files of the older form have the dimensions of a head in the place of the latent's.
    const bool absorbed = Find("attention.key_length_mla") != nullptr;
    const char* key_length = absorbed ? "attention.key_length_mla" : "attention.key_length";
    const int64_t key = Size(key_length);
    if (key <= rope) {
      throw Error(metadata_.At(Key(key_length)).where(),
                  fmt::format("{} leaves nothing beside the {} rotated", key, rope));
    }
    json_["qk_nope_head_dim"] = key - rope;
    json_["qk_rope_head_dim"] = rope;
    json_["v_head_dim"] = Size(absorbed ? "attention.value_length_mla" : "attention.value_length");
    const int64_t query_rank = SizeOr("attention.q_lora_rank", 0);
    json_["q_lora_rank"] = query_rank > 0 ? ordered_json(query_rank) : ordered_json(nullptr);
    json_["kv_lora_rank"] = Size("attention.kv_lora_rank");
    json_["num_key_value_heads"] = Size("attention.head_count");
    ReadYarn(/*latent_attention=*/true);
  }

  void ReadGrouped() {
    json_["model_type"] = architecture_;
    json_["num_hidden_layers"] = Size("block_count");
    const int64_t heads = Size("attention.head_count");
    json_["num_key_value_heads"] = SizeOr("attention.head_count_kv", heads);
    const int64_t head_dim =
        SizeOr("attention.key_length", Size("embedding_length") / std::max<int64_t>(1, heads));
    json_["head_dim"] = head_dim;
    for (const char* same : {"attention.value_length", "rope.dimension_count"}) {
      if (SizeOr(same, head_dim) != head_dim) NotSupported(same);
    }
    if (SizeOr("expert_count", 0) > 0) NotSupported("expert_count");
    json_["attention_bias"] = Tensor("blk.0.attn_q.bias") != nullptr;
    json_["tie_word_embeddings"] = Tensor("output.weight") == nullptr;
    ReadYarn(/*latent_attention=*/false);
    if (const GgufTensor* factors = Tensor("rope_freqs.weight"))
      ReadFrequencyFactors(*factors, head_dim);
  }

  void ReadYarn(bool latent_attention) {
    const GgufValue* type = Find("rope.scaling.type");
    if (type == nullptr || type->String() == "none") return;
    const double factor = NumberOr("rope.scaling.factor", 1);
    if (type->String() == "linear" && (factor == 0 || factor == 1)) return;
    if (type->String() != "yarn") {
      throw Error(type->where(), fmt::format("'{}' is not supported", type->String()),
                  "yarn and none are");
    }
    ordered_json yarn = {{"type", "yarn"},
                         {"factor", factor},
                         {"beta_fast", NumberOr("rope.scaling.yarn_beta_fast", 32)},
                         {"beta_slow", NumberOr("rope.scaling.yarn_beta_slow", 1)},
                         {"original_max_position_embeddings",
                          SizeOr("rope.scaling.original_context_length", Size("context_length"))}};
    for (const char* other : {"rope.scaling.attn_factor", "rope.scaling.yarn_attn_factor"}) {
      if (NumberOr(other, 1) != 1) NotSupported(other);
    }
    // mscale_all_dim in tenths; mscale is taken to be the same.
    if (const double tenths = NumberOr("rope.scaling.yarn_log_multiplier", 0);
        latent_attention && tenths != 0) {
      constexpr double kDigits = 1e6;
      const double mscale = std::round(tenths * 10 * kDigits) / kDigits;
      yarn["mscale"] = mscale;
      yarn["mscale_all_dim"] = mscale;
    }
    json_["rope_scaling"] = std::move(yarn);
  }

  // Frequencies are divided by these, one for every pair of a head: Llama 3's scaling, written out.
  // Every released model has low and high factors of 1 and 4; `factor` is what the lowest
  // frequency is divided by, and a blended one tells the original context.
  void ReadFrequencyFactors(const GgufTensor& tensor, int64_t head_dim) {
    if (tensor.format != BlockFormat::kF32 || tensor.dims != std::vector<int64_t>{head_dim / 2})
      throw Error(tensor.where, fmt::format("is not {} values in F32", head_dim / 2));
    std::vector<float> found(static_cast<size_t>(head_dim / 2));
    DecodeBlocks(tensor.format, tensor.data, 0, head_dim / 2, found.data());
    if (std::all_of(found.begin(), found.end(), [](float f) { return f == 1; })) return;
    ModelConfig config;
    config.family = Family::kLlama;
    config.head_dim = head_dim;
    config.rope_theta = NumberOr("rope.freq_base", 10000);
    const std::vector<double> frequencies = MakeRopeParameters(config).inv_freq;
    Llama3Scaling scaling;
    scaling.factor = static_cast<double>(found.back());
    for (size_t i = 0; i < found.size(); ++i) {
      const double kept =
          (1 / static_cast<double>(found[i]) - 1 / scaling.factor) / (1 - 1 / scaling.factor);
      if (!(kept > 0.001 && kept < 0.999)) continue;
      const double turns =
          scaling.low_freq_factor + kept * (scaling.high_freq_factor - scaling.low_freq_factor);
      const double context = std::round(turns * 2 * std::numbers::pi / frequencies[i]);
      if (context >= 1 && context <= static_cast<double>(kLargestSize))
        scaling.original_max_position_embeddings = static_cast<int64_t>(context);
      break;
    }
    config.rope_scaling = scaling;
    const std::vector<float> expected = FrequencyFactors(config);
    for (size_t i = 0; i < found.size(); ++i) {
      constexpr float kTolerance = 1e-4F;
      if (!(std::fabs(found[i] - expected[i]) <= kTolerance * expected[i])) {
        throw Error(tensor.where,
                    fmt::format("factor {} is {}, Llama 3's scaling by {} has {}", i, found[i],
                                scaling.factor, expected[i]),
                    "frequency factors other than Llama 3's are not supported");
      }
    }
    json_["rope_scaling"] = {
        {"rope_type", "llama3"},
        {"factor", scaling.factor},
        {"low_freq_factor", scaling.low_freq_factor},
        {"high_freq_factor", scaling.high_freq_factor},
        {"original_max_position_embeddings", scaling.original_max_position_embeddings}};
  }

  const GgufMetadata& metadata_;
  const std::vector<GgufTensor>& tensors_;
  std::string architecture_;
  ordered_json json_;
};

}  // namespace

std::vector<float> FrequencyFactors(const ModelConfig& config) {
  ModelConfig plain = config;
  plain.rope_scaling = std::monostate();
  const std::vector<double> unscaled = MakeRopeParameters(plain).inv_freq;
  const std::vector<double> scaled = MakeRopeParameters(config).inv_freq;
  std::vector<float> factors;
  for (size_t i = 0; i < scaled.size(); ++i)
    factors.push_back(static_cast<float>(unscaled[i] / scaled[i]));
  return factors;
}

ModelConfig GgufConfig(const GgufMetadata& metadata, const std::vector<GgufTensor>& tensors) {
  return ConfigReader(metadata, tensors).Read();
}

}  // namespace fathom
