#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/function_ref.h"
#include "infer/executor.h"
#include "model/transformer.h"

namespace fathom {

struct ScoreOptions {
  int64_t chunk_tokens = 512;  // computed at a time; no influence on the result
  // A longer text is scored in windows of this many inputs, each without what came before it; 0:
  // the model's max_position_embeddings.
  int64_t window = 0;
  int64_t top = 0;  // also the most likely tokens at each position, so many (or all there are)
  CacheFormat format = CacheFormat::kAct;
};

struct TokenScores {
  // ln p of every token but the first, given the tokens before it: [i] belongs to tokens[i + 1].
  std::vector<float> logprobs;
  // The same of the ScoreOptions::top most likely tokens in its place, the likeliest first and of
  // equals the lower id.
  std::vector<std::vector<RankedToken>> top;
};

// The pages of cache that ScoreTokens takes, given so many tokens of text.
int64_t ScorePages(const ModelConfig& config, int64_t tokens, const ScoreOptions& options);

// Scores a text by itself, with an engine of its own; within one window the same bits as
// TokenLosses' in the absorbed form. `progress` is called with the number of tokens done. Throws
// Error for an id outside the vocabulary.
TokenScores ScoreTokens(Context& context, const Transformer& transformer,
                        std::span<const int32_t> tokens, const ScoreOptions& options,
                        FunctionRef<void(int64_t done)> progress);

}  // namespace fathom
