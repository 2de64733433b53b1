#include "text/chat/fathom_format.h"

#include <nlohmann/json.hpp>

#include "text/special_tokens.h"

namespace fathom {

// The family's quirks are kept: system messages stand first, a row of tool calls is begun once in a
// conversation, and after a tool's answer the model goes on without a mark.
std::string_view FathomChatTemplate() {
  return R"({%- set ns = namespace(system='', calls=false, outputs=false, in_outputs=false) -%}
{%- for message in messages if message['role'] == 'system' -%}
{%- set ns.system = ns.system + ('' if loop.first else '\n\n') + message['content'] -%}
{%- endfor -%}
{{- bos_token + ns.system -}}
{%- for message in messages -%}
{%- if message['role'] == 'user' -%}
{%- set ns.in_outputs = false -%}
{{- '<｜User｜>' + message['content'] -}}
{%- elif message['role'] == 'tool' -%}
{{- '' if ns.outputs else '<｜tool▁outputs▁begin｜>' -}}
{%- set ns.outputs = true -%}{%- set ns.in_outputs = true -%}
{{- '<｜tool▁output▁begin｜>' + message['content'] + '<｜tool▁output▁end｜>' -}}
{%- elif message['role'] == 'assistant' and 'tool_calls' in message -%}
{%- set ns.in_outputs = false -%}
{%- for call in message['tool_calls'] -%}
{%- if ns.calls -%}{{- '\n' -}}
{%- else -%}
{{- '<｜Assistant｜>' + ('' if message['content'] is none else message['content']) + '<｜tool▁calls▁begin｜>' -}}
{%- set ns.calls = true -%}
{%- endif -%}
{{- '<｜tool▁call▁begin｜>' + call['type'] + '<｜tool▁sep｜>' + call['function']['name'] -}}
{{- '\n```json\n' + call['function']['arguments'] + '\n```<｜tool▁call▁end｜>' -}}
{%- endfor -%}
{{- '<｜tool▁calls▁end｜>' + eos_token -}}
{%- elif message['role'] == 'assistant' -%}
{%- if ns.in_outputs -%}{{- '<｜tool▁outputs▁end｜>' + message['content'] -}}
{%- set ns.in_outputs = false -%}
{%- else -%}{{- '<｜Assistant｜>' + message['content'].split('</think>')[-1] -}}
{%- endif -%}
{{- eos_token -}}
{%- endif -%}
{%- endfor -%}
{%- if ns.in_outputs -%}{{- '<｜tool▁outputs▁end｜>' -}}
{%- elif add_generation_prompt -%}
{{- '<｜Assistant｜>' -}}{%- if enable_thinking -%}{{- '<think>\n' -}}{%- endif -%}
{%- endif -%})";
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
                                         {"chat_template", FathomChatTemplate()}};
  return config.dump(1);
}

}  // namespace fathom
