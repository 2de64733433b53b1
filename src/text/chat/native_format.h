#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/data.h"
#include "text/jinja/runtime.h"
#include "text/jinja/text.h"
#include "text/tokenizer.h"

namespace fathom {

// What a format is rendered from, as values of `runtime`.
struct FormatInput {
  jinja::Runtime& runtime;
  jinja::Value messages;   // a list
  jinja::Value tools;      // a list, or none
  jinja::Value variables;  // a dict: special tokens and whatever else a template is given
  bool generation_prompt;
  std::optional<int64_t> now;
};

// A chat format that is written out in C++ and renders what its template renders.
struct NativeFormat {
  std::string_view name;
  // HashOf the template, its newlines as Jinja sees them; several where releases differ in spelling
  // only. A hash that is not cryptographic is enough: who forges one gets this format.
  std::vector<uint64_t> fingerprints;
  // An added token that only vocabularies of this family have; empty where the family has an older
  // format that stands for it.
  std::string_view mark;
  // Added tokens that end an answer, those that the vocabulary has.
  std::vector<std::string_view> stops;
  // Variables that change what the template renders and that are not handled here.
  std::vector<std::string_view> refused;
  jinja::Text (*render)(const FormatInput& input);
};

std::span<const NativeFormat> NativeFormats();
// Null when the template is not a known one.
const NativeFormat* FindNativeFormat(std::string_view template_text);
// By the marks, for a model that has no template; null when no family is recognised.
const NativeFormat* FindNativeFormat(const Tokenizer& tokenizer);

// The formats (deepseek_format.cc, qwen_format.cc, llama_format.cc).
jinja::Text RenderFathom(const FormatInput& input);
jinja::Text RenderDeepSeekV3(const FormatInput& input);
jinja::Text RenderDeepSeekR1(const FormatInput& input);
jinja::Text RenderDeepSeekR1Distill(const FormatInput& input);
jinja::Text RenderQwen25(const FormatInput& input);
jinja::Text RenderQwen3(const FormatInput& input);
jinja::Text RenderLlama3(const FormatInput& input);
jinja::Text RenderLlama31(const FormatInput& input);
jinja::Text RenderLlama32(const FormatInput& input);

}  // namespace fathom
