#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>
#include <variant>

#include "base/error.h"
#include "base/json.h"
#include "formats/gguf_config.h"
#include "formats/gguf_export.h"
#include "formats/gguf_tokenizer.h"
#include "text/byte_level.h"

namespace fathom {
namespace {

std::string_view Architecture(Family family) {
  switch (family) {
    case Family::kDeepseekV2:
    case Family::kDeepseekV3:
      return "deepseek2";
    case Family::kQwen2:
      return "qwen2";
    case Family::kLlama:
      return "llama";
  }
  FATHOM_CHECK(false);
}

// general.file_type, by what most of the matrices are.
int64_t FileType(BlockFormat format) {
  switch (format) {
    case BlockFormat::kF32:
      return 0;
    case BlockFormat::kF16:
      return 1;
    case BlockFormat::kQ8_0:
      return 7;
    case BlockFormat::kQ4K:
      return 14;
    case BlockFormat::kBF16:
      return 32;
    default:
      FATHOM_CHECK(false, "{} is not written", LayoutOf(format).name);
  }
}

class Describer {
 public:
  Describer(const ModelSource& source, GgufWriter& writer)
      : source_(source),
        config_(source.config()),
        architecture_(Architecture(config_.family)),
        writer_(writer) {}

  void Describe(BlockFormat format) {
    writer_.AddString("general.architecture", architecture_);
    writer_.AddString("general.type", "model");
    std::filesystem::path name = source_.path();
    if (!name.has_filename()) name = name.parent_path();
    writer_.AddString("general.name", name.stem().string());
    writer_.AddU32("general.file_type", FileType(format));
    writer_.AddU32("general.quantization_version", 2);
    DescribeConfig();
    if (config_.latent_attention()) {
      DescribeLatentAttention();
      DescribeExperts();
    } else {
      DescribeGroupedAttention();
    }
    DescribeRope();
    DescribeSampling();
    const auto tokenizer = source_.LoadTokenizer();
    if (tokenizer) {
      DescribeTokenizer(*tokenizer);
    } else {
      writer_.AddString("tokenizer.ggml.model", "none");
      AddToken("tokenizer.ggml.bos_token_id", config_.bos_token_id);
      AddEnds(config_.eos_token_ids);
    }
  }

 private:
  std::string Key(std::string_view name) const { return fmt::format("{}.{}", architecture_, name); }
  void Size(std::string_view name, int64_t value) { writer_.AddU32(Key(name), value); }
  void Number(std::string_view name, double value) { writer_.AddF32(Key(name), value); }
  [[noreturn]] void Cannot(std::string_view what) const {
    throw Error(source_.path().string(), fmt::format("a GGUF file cannot say {}", what));
  }

  void DescribeConfig() {
    Size("block_count", config_.total_layers());
    Size("context_length", config_.max_position_embeddings);
    Size("embedding_length", config_.hidden_size);
    Size("feed_forward_length", config_.intermediate_size);
    Size("vocab_size", config_.vocab_size);
    Size("attention.head_count", config_.num_attention_heads);
    Number("attention.layer_norm_rms_epsilon", config_.rms_norm_eps);
  }

  void DescribeLatentAttention() {
    if (config_.rope_layout != RopeLayout::kInterleaved)
      Cannot("that DeepSeek's rotary embedding is not interleaved");
    // The absorbed form: one head of keys and values, the latent.
    Size("attention.head_count_kv", 1);
    Size("attention.q_lora_rank", config_.q_lora_rank);
    Size("attention.kv_lora_rank", config_.kv_lora_rank);
    Size("attention.key_length", config_.latent_dim());
    Size("attention.value_length", config_.kv_lora_rank);
    Size("attention.key_length_mla", config_.qk_dim());
    Size("attention.value_length_mla", config_.v_head_dim);
    Size("rope.dimension_count", config_.qk_rope_head_dim);
  }

  void DescribeExperts() {
    const bool experts = config_.n_routed_experts > 0;
    Size("leading_dense_block_count",
         experts ? config_.first_k_dense_replace : config_.total_layers());
    Size("expert_feed_forward_length", config_.moe_intermediate_size);
    Size("expert_shared_count", config_.n_shared_experts);
    if (config_.num_nextn_predict_layers > 0)
      Size("nextn_predict_layers", config_.num_nextn_predict_layers);
    if (!experts) return;
    constexpr int64_t kSoftmax = 1, kSigmoid = 2;
    const bool sigmoid = config_.family == Family::kDeepseekV3;
    Size("expert_count", config_.n_routed_experts);
    Size("expert_used_count", config_.num_experts_per_tok);
    Number("expert_weights_scale", config_.routed_scaling_factor);
    writer_.AddBool(Key("expert_weights_norm"), config_.norm_topk_prob);
    Size("expert_gating_func", sigmoid ? kSigmoid : kSoftmax);
    if (config_.n_group > 1) {
      Size("expert_group_count", config_.n_group);
      Size("expert_group_used_count", config_.topk_group);
    }
  }

  void DescribeGroupedAttention() {
    Size("attention.head_count_kv", config_.num_key_value_heads);
    Size("attention.key_length", config_.head_dim);
    Size("attention.value_length", config_.head_dim);
    Size("rope.dimension_count", config_.head_dim);
  }

  // Llama 3's scaling is a tensor (rope_freqs.weight).
  void DescribeRope() {
    Number("rope.freq_base", config_.rope_theta);
    const auto* yarn = std::get_if<YarnScaling>(&config_.rope_scaling);
    if (yarn == nullptr) return;
    if (yarn->attention_factor) Cannot("rope_scaling's attention_factor");
    const bool latent = config_.latent_attention();
    if (yarn->mscale != yarn->mscale_all_dim || (latent && yarn->mscale == 0))
      Cannot("rope_scaling with mscale and mscale_all_dim that are not the same");
    if (!latent && yarn->mscale != 0) Cannot("rope_scaling's mscale outside latent attention");
    writer_.AddString(Key("rope.scaling.type"), "yarn");
    Number("rope.scaling.factor", yarn->factor);
    Size("rope.scaling.original_context_length", yarn->original_max_position_embeddings);
    Number("rope.scaling.yarn_beta_fast", yarn->beta_fast);
    Number("rope.scaling.yarn_beta_slow", yarn->beta_slow);
    if (latent) Number("rope.scaling.yarn_log_multiplier", 0.1 * yarn->mscale_all_dim);
  }

  void DescribeSampling() {
    const auto text = source_.SideFile("generation_config.json");
    if (!text) return;
    const JsonDocument document(*text, (source_.path() / "generation_config.json").string());
    for (const auto& [key, name] : {std::pair{"general.sampling.temp", "temperature"},
                                    {"general.sampling.top_p", "top_p"},
                                    {"general.sampling.min_p", "min_p"}}) {
      if (const auto value = document.root().Find(name)) writer_.AddF32(key, value->Number());
    }
    if (const auto value = document.root().Find("top_k"))
      writer_.AddI32("general.sampling.top_k", std::clamp<int64_t>(value->Int(), 0, INT32_MAX));
  }

  void DescribeTokenizer(const Tokenizer& tokenizer) {
    const std::string where = source_.path().string();
    if (tokenizer.vocab_size() > config_.vocab_size) {
      throw Error(where, fmt::format("the tokenizer has {} ids, the model's vocab_size is {}",
                                     tokenizer.vocab_size(), config_.vocab_size));
    }
    writer_.AddString("tokenizer.ggml.model", "gpt2");
    writer_.AddString("tokenizer.ggml.pre", GgufPreTokenizerName(tokenizer, where));
    AddTokens(tokenizer);
    AddSpecialTokens(tokenizer);
  }

  // Every id of the model's vocabulary needs a token, and no two the same.
  void AddTokens(const Tokenizer& tokenizer) {
    constexpr int32_t kNormal = 1, kControl = 3, kUserDefined = 4, kUnused = 5;
    const auto size = static_cast<size_t>(config_.vocab_size);
    std::vector<std::string> tokens(size);
    std::vector<int32_t> types(size, kUnused);
    const auto vocabulary = tokenizer.model().tokens();
    for (size_t id = 0; id < vocabulary.size(); ++id) {
      const VocabularyToken& token = vocabulary[id];
      if (token.kind == VocabularyToken::Kind::kNone) continue;
      tokens[id] =
          token.kind == VocabularyToken::Kind::kBytes ? BytesToPrintable(token.bytes) : token.bytes;
      types[id] = kNormal;
    }
    for (const AddedToken& token : tokenizer.added_tokens()) {
      tokens[static_cast<size_t>(token.id)] = token.content;
      types[static_cast<size_t>(token.id)] = token.special ? kControl : kUserDefined;
    }
    std::set<std::string_view> seen;
    for (size_t id = 0; id < size; ++id) {
      if (types[id] == kUnused) continue;
      if (!seen.insert(tokens[id]).second)
        Cannot(fmt::format("that '{}' is two tokens", tokens[id]));
    }
    for (size_t id = 0; id < size; ++id) {
      if (types[id] != kUnused) continue;
      tokens[id] = fmt::format("[PAD{}]", id);
      while (seen.contains(tokens[id])) tokens[id] += '_';
    }
    writer_.AddStrings("tokenizer.ggml.tokens", tokens);
    writer_.AddI32s("tokenizer.ggml.token_type", types);
    std::vector<std::string> merges;
    for (const Merge& merge : tokenizer.model().merges()) {
      merges.push_back(tokens[static_cast<size_t>(merge.left)] + " " +
                       tokens[static_cast<size_t>(merge.right)]);
    }
    writer_.AddStrings("tokenizer.ggml.merges", merges);
  }

  // The id of a token that tokenizer_config.json names, as a string or as an object; -1: none.
  static int64_t NamedToken(const JsonValue& root, std::string_view key,
                            const Tokenizer& tokenizer) {
    const auto value = root.Find(key);
    if (!value) return -1;
    const JsonValue content = value->IsObject() ? value->At("content") : *value;
    const auto id = tokenizer.AddedTokenId(content.String());
    if (!id) {
      throw Error(content.path(),
                  fmt::format("'{}' is not a token of the tokenizer", content.String()));
    }
    return *id;
  }

  void AddSpecialTokens(const Tokenizer& tokenizer) {
    int64_t bos = config_.bos_token_id, pad = -1;
    std::vector<int64_t> ends = config_.eos_token_ids;
    const auto generation = source_.SideFile("generation_config.json");
    if (generation) {
      const JsonDocument document(*generation,
                                  (source_.path() / "generation_config.json").string());
      if (const auto eos = document.root().Find("eos_token_id")) {
        if (eos->IsArray()) {
          for (const JsonValue& id : eos->Array()) ends.push_back(id.Int());
        } else {
          ends.push_back(eos->Int());
        }
      }
    }
    bool add_bos = !tokenizer.surrounding_tokens().before.empty(), add_eos = false;
    const auto text = source_.SideFile("tokenizer_config.json");
    std::optional<JsonDocument> document;
    if (text) {
      document.emplace(*text, (source_.path() / "tokenizer_config.json").string());
      const JsonValue& root = document->root();
      if (const int64_t id = NamedToken(root, "bos_token", tokenizer); id >= 0) bos = id;
      if (const int64_t id = NamedToken(root, "eos_token", tokenizer); id >= 0)
        ends.insert(ends.begin(), id);
      pad = NamedToken(root, "pad_token", tokenizer);
      add_bos = root.BoolOr("add_bos_token", add_bos);
      add_eos = root.BoolOr("add_eos_token", false);
    }
    AddToken("tokenizer.ggml.bos_token_id", bos);
    AddEnds(ends);
    AddToken("tokenizer.ggml.padding_token_id", pad);
    writer_.AddBool("tokenizer.ggml.add_bos_token", add_bos);
    writer_.AddBool("tokenizer.ggml.add_eos_token", add_eos);
    AddChatTemplate(document);
  }

  void AddToken(std::string_view key, int64_t id) {
    if (id >= 0 && id < config_.vocab_size) writer_.AddU32(key, id);
  }

  void AddEnds(const std::vector<int64_t>& ends) {
    std::vector<int64_t> distinct;
    for (const int64_t id : ends) {
      if (std::find(distinct.begin(), distinct.end(), id) == distinct.end()) distinct.push_back(id);
    }
    for (size_t i = 0; i < std::min(distinct.size(), kGgufEndTokenKeys.size()); ++i)
      AddToken(kGgufEndTokenKeys[i], distinct[i]);
  }

  void AddChatTemplate(const std::optional<JsonDocument>& tokenizer_config) {
    constexpr const char* kKey = "tokenizer.chat_template";
    if (const auto text = source_.SideFile("chat_template.jinja"))
      return writer_.AddString(kKey, *text);
    if (!tokenizer_config) return;
    const auto chat = tokenizer_config->root().Find("chat_template");
    if (!chat) return;
    if (chat->IsString()) return writer_.AddString(kKey, chat->String());
    // Several with names.
    for (const JsonValue& named : chat->Array()) {
      if (named.At("name").String() == "default")
        return writer_.AddString(kKey, named.At("template").String());
    }
  }

  const ModelSource& source_;
  const ModelConfig& config_;
  std::string_view architecture_;
  GgufWriter& writer_;
};

}  // namespace

void DescribeModel(const ModelSource& source, BlockFormat format, GgufWriter& writer) {
  Describer(source, writer).Describe(format);
}

}  // namespace fathom
