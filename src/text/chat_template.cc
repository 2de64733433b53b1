#include "text/chat_template.h"

#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.h"
#include "text/special_tokens.h"

namespace fathom {
namespace {

constexpr std::string_view kJinja = R"({%- set ns = namespace(system=none) -%}
{%- for message in messages if message['role'] == 'system' -%}
{%- set ns.system = message['content'] if ns.system is none else ns.system + '\n\n' + message['content'] -%}
{%- endfor -%}
{{- bos_token -}}{{- ns.system if ns.system is not none else '' -}}
{%- for message in messages -%}
{%- if message['role'] == 'user' -%}{{- '<｜User｜>' + message['content'] -}}
{%- elif message['role'] == 'assistant' -%}
{{- '<｜Assistant｜>' + message['content'].split('</think>')[-1] + eos_token -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<｜Assistant｜>' -}}{%- endif -%})";

}  // namespace

std::vector<int32_t> EncodeChat(const Tokenizer& tokenizer, std::span<const ChatMessage> messages,
                                const ChatOptions& options) {
  constexpr EncodeOptions kPlain{.added_tokens = false};
  std::string system;
  bool has_system = false;
  for (size_t i = 0; i < messages.size(); ++i) {
    const ChatMessage& message = messages[i];
    if (message.role == "system") {
      if (has_system) system += "\n\n";
      system += message.content;
      has_system = true;
    } else if (message.role != "user" && message.role != "assistant") {
      throw Error(fmt::format("messages[{}].role", i),
                  fmt::format("unknown role '{}'", message.role),
                  "it can be system, user or assistant");
    }
  }
  std::vector<int32_t> ids = {tokenizer.RequireAddedTokenId(kBeginOfSentence)};
  const int32_t user = tokenizer.RequireAddedTokenId(kUser);
  const int32_t assistant = tokenizer.RequireAddedTokenId(kAssistant);
  const int32_t end = tokenizer.RequireAddedTokenId(kEndOfSentence);
  tokenizer.Encode(system, kPlain, ids);
  for (const ChatMessage& message : messages) {
    std::string_view content = message.content;
    if (message.role == "user") {
      ids.push_back(user);
      tokenizer.Encode(content, kPlain, ids);
    } else if (message.role == "assistant") {
      const size_t thoughts = content.rfind(kThinkEnd);
      if (thoughts != std::string_view::npos) {
        content.remove_prefix(thoughts + std::string_view(kThinkEnd).size());
      }
      ids.push_back(assistant);
      tokenizer.Encode(content, kPlain, ids);
      ids.push_back(end);
    }
  }
  if (options.generation_prompt) {
    ids.push_back(assistant);
    // Where the vocabulary has no such token (DeepSeek-V3's first), it is text.
    if (options.think) tokenizer.Encode(std::string(kThinkBegin) + "\n", {}, ids);
  }
  return ids;
}

std::string DeepSeekTokenizerConfig(int64_t max_length) {
  const nlohmann::ordered_json config = {{"add_bos_token", true},
                                         {"add_eos_token", false},
                                         {"bos_token", kBeginOfSentence},
                                         {"eos_token", kEndOfSentence},
                                         {"pad_token", kPad},
                                         {"unk_token", nullptr},
                                         {"clean_up_tokenization_spaces", false},
                                         {"model_max_length", max_length},
                                         {"tokenizer_class", "PreTrainedTokenizerFast"},
                                         {"chat_template", kJinja}};
  return config.dump(1);
}

}  // namespace fathom
