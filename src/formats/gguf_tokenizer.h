#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "formats/gguf_file.h"
#include "text/tokenizer.h"

namespace fathom {

// The tokenizer in the metadata of a GGUF file: byte-level BPE ("gpt2") with a pre-tokeniser that
// tokenizer.ggml.pre names. Control tokens become special added tokens, user-defined ones added
// tokens, unused ones nothing. Nothing when the file has none. Throws Error naming the key for what
// contradicts itself or is not supported.
std::optional<Tokenizer> GgufTokenizer(const GgufMetadata& metadata);

// What tokenizer.ggml.pre calls a tokenizer's way to cut text into words. Error (with `where`) when
// it has no name there.
std::string_view GgufPreTokenizerName(const Tokenizer& tokenizer, std::string_view where);

// What a tokenizer_config.json and a generation_config.json beside the weights would say: bos, eos
// and padding token, whether a text begins with bos, the chat template; the ids at which a text
// ends and the sampling that the file recommends. Nothing when the file has no tokenizer.
std::optional<std::string> GgufTokenizerConfig(const GgufMetadata& metadata);
std::optional<std::string> GgufGenerationConfig(const GgufMetadata& metadata);

}  // namespace fathom
