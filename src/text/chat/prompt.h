#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "text/jinja/text.h"
#include "text/tokenizer.h"

namespace fathom {

// The ids of a rendered prompt. Added tokens are found only where every byte of them is trusted:
// nothing that a user writes becomes one, alone or together with what the template puts around it.
// Everything else is encoded as the one text it is, so that where nobody writes the names of
// special tokens the ids are those of Hugging Face.
std::vector<int32_t> EncodePrompt(const Tokenizer& tokenizer, const jinja::Text& prompt);

// The beginning of an answer, which the model is to go on from.
struct AnswerBeginning {
  std::optional<std::string> reasoning;  // its thoughts, or their beginning
  std::string content;                   // empty: it is still thinking, where it has thoughts
};

// Adds it to a prompt that ends where an answer begins. Whether the model goes on inside of
// <think>.
bool BeginAnswer(const AnswerBeginning& beginning, jinja::Text& prompt);

// Whether the answer to a prompt begins inside of <think>, because the template opened it.
bool EndsInsideThinking(const jinja::Text& prompt);

}  // namespace fathom
