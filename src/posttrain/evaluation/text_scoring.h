#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/function_ref.h"
#include "infer/engine.h"
#include "text/tokenizer.h"

namespace fathom {

struct TextScoringOptions {
  // Tokens of a window; a longer text is scored in several, of which each but the first begins with
  // `context` tokens of the one before it that only serve as context. 0 <= context < window - 1.
  int64_t window = 0, context = 0;
  int32_t begin_token = -1;  // before every text; -1: none, and its first token is not scored
};

// What a model says of texts.
struct TextScore {
  int64_t texts = 0, tokens = 0, bytes = 0;  // scored
  double nats = 0;                           // the sum of -ln p

  double bits_per_byte() const;
  double perplexity() const;  // per token
};

// progress: with the tokens done; returning false gives up with what there is.
TextScore ScoreTexts(Engine& engine, const Tokenizer& tokenizer, std::span<const std::string> texts,
                     const TextScoringOptions& options, FunctionRef<bool(int64_t tokens)> progress);

}  // namespace fathom
