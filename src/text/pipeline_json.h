#pragma once

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "text/normalizer.h"
#include "text/pretokenizer.h"
#include "text/tokenizer.h"

namespace fathom {

// The parts of a tokenizer.json around its model. root: the whole file. What is not supported is an
// Error that names the key.

Normalizer ReadNormalizer(const JsonValue& root);
PreTokenizer ReadPreTokenizer(const JsonValue& root);
// Only what is byte-level: tokens are turned back into bytes.
void CheckDecoder(const JsonValue& root);
// TemplateProcessing (its `single`), BertProcessing, RobertaProcessing, ByteLevel (which only moves
// offsets) and sequences of them. ids must be below 2^31; whether they exist is checked later.
SurroundingTokens ReadPostProcessor(const JsonValue& root);

nlohmann::ordered_json WriteNormalizer(const Normalizer& normalizer);
nlohmann::ordered_json WritePreTokenizer(const PreTokenizer& pre_tokenizer);

// Throws when `object` has a key that is not among `known`: keys that nobody has looked at could
// change the ids.
void RequireKnownKeys(const JsonValue& object, std::initializer_list<std::string_view> known);

inline constexpr std::string_view kTokenizerHint =
    "supported: byte-level BPE as DeepSeek, Qwen, Llama 3 and GPT-2 have it";

}  // namespace fathom
