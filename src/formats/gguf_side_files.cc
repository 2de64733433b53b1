#include <nlohmann/json.hpp>

#include "base/error.h"
#include "formats/gguf_config.h"
#include "formats/gguf_tokenizer.h"

namespace fathom {
namespace {

using nlohmann::ordered_json;

constexpr int64_t kLargestId = INT32_MAX;

// Its text, or null when the file has no such key.
ordered_json TokenText(const GgufMetadata& metadata, const std::vector<std::string_view>& tokens,
                       std::string_view key) {
  const GgufValue* value = metadata.Find(key);
  if (value == nullptr) return nullptr;
  return tokens[static_cast<size_t>(value->Int(0, static_cast<int64_t>(tokens.size()) - 1))];
}

bool BoolOr(const GgufMetadata& metadata, std::string_view key, bool fallback) {
  const GgufValue* value = metadata.Find(key);
  return value == nullptr ? fallback : value->Bool();
}

}  // namespace

std::optional<std::string> GgufTokenizerConfig(const GgufMetadata& metadata) {
  const GgufValue* tokens_value = metadata.Find("tokenizer.ggml.tokens");
  if (tokens_value == nullptr) return std::nullopt;
  const std::vector<std::string_view> tokens = tokens_value->Strings();
  const GgufValue* pre = metadata.Find("tokenizer.ggml.pre");
  // The one name that means a begin token where the file does not say.
  const bool llama = pre != nullptr && pre->String().starts_with("llama");
  ordered_json json;
  json["add_bos_token"] = BoolOr(metadata, "tokenizer.ggml.add_bos_token", llama);
  json["add_eos_token"] = BoolOr(metadata, "tokenizer.ggml.add_eos_token", false);
  json["bos_token"] = TokenText(metadata, tokens, "tokenizer.ggml.bos_token_id");
  json["eos_token"] = TokenText(metadata, tokens, "tokenizer.ggml.eos_token_id");
  json["pad_token"] = TokenText(metadata, tokens, "tokenizer.ggml.padding_token_id");
  json["clean_up_tokenization_spaces"] = false;
  json["tokenizer_class"] = "PreTrainedTokenizerFast";
  if (const GgufValue* chat = metadata.Find("tokenizer.chat_template"))
    json["chat_template"] = chat->String();
  return json.dump(2) + "\n";
}

std::optional<std::string> GgufGenerationConfig(const GgufMetadata& metadata) {
  if (metadata.Find("tokenizer.ggml.tokens") == nullptr) return std::nullopt;
  ordered_json json;
  if (const GgufValue* bos = metadata.Find("tokenizer.ggml.bos_token_id"))
    json["bos_token_id"] = bos->Int(0, kLargestId);
  ordered_json ends = ordered_json::array();
  for (const char* key : kGgufEndTokenKeys) {
    const GgufValue* value = metadata.Find(key);
    if (value == nullptr) continue;
    const int64_t id = value->Int(0, kLargestId);
    if (std::find(ends.begin(), ends.end(), id) == ends.end()) ends.push_back(id);
  }
  if (!ends.empty()) json["eos_token_id"] = std::move(ends);
  for (const auto& [key, name] : {std::pair{"general.sampling.temp", "temperature"},
                                  {"general.sampling.top_p", "top_p"},
                                  {"general.sampling.min_p", "min_p"}}) {
    if (const GgufValue* value = metadata.Find(key)) json[name] = value->Number();
  }
  if (const GgufValue* value = metadata.Find("general.sampling.top_k"))
    json["top_k"] = value->Int(0, kLargestId);
  return json.dump(2) + "\n";
}

}  // namespace fathom
