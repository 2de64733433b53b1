#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace fathom {

struct ChatMessage {
  std::string role;  // "system", "user" or "assistant"
  std::string content;
};

struct ChatOptions {
  // End with <｜Assistant｜>, so that the model answers.
  bool generation_prompt = true;
  // Then "<think>\n", as R1 is prompted: the answer begins inside the thoughts.
  bool think = false;
};

// A conversation as DeepSeek-V3 and R1 are trained to see it:
//   <｜begin▁of▁sentence｜>{system}<｜User｜>{question}<｜Assistant｜>{answer}<｜end▁of▁sentence｜>...
// System messages are joined by an empty line and stand first, wherever they came. Of an
// assistant's message only what follows the last </think> is kept. Contents are encoded as plain
// text: nothing that a user writes becomes a special token.
//
// Throws Error on another role, and when the vocabulary lacks one of the special tokens.
std::vector<int32_t> EncodeChat(const Tokenizer& tokenizer, std::span<const ChatMessage> messages,
                                const ChatOptions& options = {});

// The same format for other programs: a tokenizer_config.json with the special tokens and the
// template in Jinja. max_length: the model's context in tokens.
std::string DeepSeekTokenizerConfig(int64_t max_length);

}  // namespace fathom
