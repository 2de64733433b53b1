#include "text/chat/native_format.h"

#include <algorithm>

#include "base/hash.h"
#include "text/chat/fathom_format.h"
#include "text/jinja/lexer.h"
#include "text/special_tokens.h"

namespace fathom {
namespace {

uint64_t Fingerprint(std::string_view template_text) {
  return HashOf(jinja::NormalizeNewlines(template_text));
}

}  // namespace

std::span<const NativeFormat> NativeFormats() {
  const std::vector<std::string_view> deepseek_stops = {kEndOfSentence, kUser};
  const std::vector<std::string_view> qwen_stops = {"<|im_end|>", "<|endoftext|>", "<|im_start|>"};
  const std::vector<std::string_view> llama_stops = {"<|eot_id|>", "<|eom_id|>", "<|end_of_text|>"};
  static const std::vector<NativeFormat> formats = {
      {"fathom", {Fingerprint(FathomChatTemplate())}, kUser, deepseek_stops, {}, RenderFathom},
      {"deepseek-v3", {0x2E5DB106EF725F94}, "", deepseek_stops, {}, RenderDeepSeekV3},
      {"deepseek-r1", {0x50248FAF11320483}, "", deepseek_stops, {}, RenderDeepSeekR1},
      {"deepseek-r1-distill",
       {0xF09F8A7194651C01},
       "",
       deepseek_stops,
       {},
       RenderDeepSeekR1Distill},
      {"qwen2.5", {0x14F39DFCC63BCDCB}, "<|im_start|>", qwen_stops, {}, RenderQwen25},
      {"qwen3", {0xEBED4C75E31DE940}, "", qwen_stops, {}, RenderQwen3},
      {"llama3.1",
       {0xC0E2A829A7F6E18A},
       "<|eom_id|>",
       llama_stops,
       {"builtin_tools"},
       RenderLlama31},
      {"llama3.2", {0xE980FB39E0834855}, "", llama_stops, {}, RenderLlama32},
      {"llama3", {0xDCDC8F0C69CD885E}, "<|start_header_id|>", llama_stops, {}, RenderLlama3},
  };
  return formats;
}

const NativeFormat* FindNativeFormat(std::string_view template_text) {
  const uint64_t fingerprint = Fingerprint(template_text);
  for (const NativeFormat& format : NativeFormats()) {
    const auto& known = format.fingerprints;
    if (std::find(known.begin(), known.end(), fingerprint) != known.end()) return &format;
  }
  return nullptr;
}

const NativeFormat* FindNativeFormat(const Tokenizer& tokenizer) {
  for (const NativeFormat& format : NativeFormats()) {
    if (!format.mark.empty() && tokenizer.AddedTokenId(format.mark)) return &format;
  }
  return nullptr;
}

}  // namespace fathom
