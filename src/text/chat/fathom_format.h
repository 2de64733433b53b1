#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fathom {

// The chat template, in Jinja, of what Fathom trains. It renders what DeepSeek-V3's renders:
//   <｜begin▁of▁sentence｜>{system}<｜User｜>{question}<｜Assistant｜>{answer}<｜end▁of▁sentence｜>...
// and, where enable_thinking is true, begins the answer inside <think>, as R1 is prompted.
std::string_view FathomChatTemplate();

// A tokenizer_config.json for other programs, with DeepSeek's special tokens and that template.
// max_length: the model's context in tokens.
std::string DeepSeekTokenizerConfig(int64_t max_length);

}  // namespace fathom
