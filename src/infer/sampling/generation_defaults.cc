#include "infer/sampling/generation_defaults.h"

#include "base/error.h"
#include "base/json.h"

namespace fathom {
namespace {

int32_t TokenId(const JsonValue& value, const ModelConfig& config) {
  const int64_t id = value.Int();
  if (id < 0 || id >= config.vocab_size) {
    throw Error(value.path(), fmt::format("id {} is outside the model's vocabulary of {}", id,
                                          config.vocab_size));
  }
  return static_cast<int32_t>(id);
}

void ReadGenerationConfig(const std::string& text, const std::string& where,
                          const ModelConfig& config, GenerationDefaults& defaults) {
  const JsonDocument document(text, where);
  const JsonValue& root = document.root();
  if (const auto eos = root.Find("eos_token_id")) {
    if (eos->IsArray()) {
      for (const JsonValue& id : eos->Array()) defaults.stop_ids.push_back(TokenId(id, config));
    } else {
      defaults.stop_ids.push_back(TokenId(*eos, config));
    }
  }
  SamplingParams& sampling = defaults.sampling;
  sampling.temperature = root.NumberOr("temperature", 1);
  sampling.top_p = root.NumberOr("top_p", 1);
  sampling.top_k = root.IntOr("top_k", 0);
  sampling.min_p = root.NumberOr("min_p", 0);
  sampling.repetition_penalty = root.NumberOr("repetition_penalty", 1);
  if (!root.BoolOr("do_sample", true)) sampling.temperature = 0;
  try {
    sampling.Validate();
  } catch (const UsageError& error) {
    throw Error(where, error.what());
  }
}

void ReadTokenizerConfig(const std::string& text, const std::string& where,
                         const Tokenizer& tokenizer, GenerationDefaults& defaults) {
  const JsonDocument document(text, where);
  const JsonValue& root = document.root();
  if (const auto bos = root.Find("bos_token")) {
    // A string, or an object that describes the token.
    const JsonValue content = bos->IsObject() ? bos->At("content") : *bos;
    const auto id = tokenizer.AddedTokenId(content.String());
    if (!id) {
      throw Error(content.path(),
                  fmt::format("'{}' is not a token of tokenizer.json", content.String()));
    }
    defaults.bos_id = *id;
  }
  defaults.add_bos = root.BoolOr("add_bos_token", false) && defaults.bos_id >= 0;
}

}  // namespace

GenerationDefaults ReadGenerationDefaults(const ModelSource& source, const ModelConfig& config,
                                          const Tokenizer* tokenizer) {
  const auto where = [&](const char* name) { return (source.path() / name).string(); };
  GenerationDefaults defaults;
  if (config.bos_token_id >= 0 && config.bos_token_id < config.vocab_size) {
    defaults.bos_id = static_cast<int32_t>(config.bos_token_id);
  }
  if (const auto text = source.SideFile("generation_config.json"))
    ReadGenerationConfig(*text, where("generation_config.json"), config, defaults);
  if (defaults.stop_ids.empty()) {
    for (const int64_t id : config.eos_token_ids) {
      if (id >= 0 && id < config.vocab_size) defaults.stop_ids.push_back(static_cast<int32_t>(id));
    }
  }
  if (tokenizer != nullptr) {
    if (const auto text = source.SideFile("tokenizer_config.json"))
      ReadTokenizerConfig(*text, where("tokenizer_config.json"), *tokenizer, defaults);
  }
  return defaults;
}

}  // namespace fathom
