#include "infer/scorer.h"

#include <algorithm>

#include "base/error.h"
#include "infer/engine.h"
#include "infer/transformer_executor.h"

namespace fathom {
namespace {

int64_t Window(const ModelConfig& config, const ScoreOptions& options) {
  return options.window > 0 ? options.window : config.max_position_embeddings;
}

}  // namespace

int64_t ScorePages(const ModelConfig& config, int64_t tokens, const ScoreOptions& options) {
  const int64_t window = Window(config, options), inputs = std::max<int64_t>(1, tokens - 1);
  const int64_t windows = (inputs + window - 1) / window;
  // As many windows as one step computes, with a page for each to grow (as the scheduler asks for).
  return std::min(windows, options.chunk_tokens / window + 1) *
         (KvCache::Pages(std::min(window, inputs)) + 1);
}

TokenScores ScoreTokens(Context& context, const Transformer& transformer,
                        std::span<const int32_t> tokens, const ScoreOptions& options,
                        FunctionRef<void(int64_t done)> progress) {
  const int64_t vocabulary = transformer.config().vocab_size;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] < 0 || tokens[i] >= vocabulary) {
      throw Error(
          fmt::format("token {}", i),
          fmt::format("id {} is outside the model's vocabulary of {}", tokens[i], vocabulary));
    }
  }
  const auto count = static_cast<int64_t>(tokens.size());
  TokenScores scores;
  if (count < 2) return scores;
  const int64_t window = Window(transformer.config(), options);
  TransformerExecutor executor(context, transformer,
                               ScorePages(transformer.config(), count, options), options.format);
  Engine engine(executor, {.step_tokens = options.chunk_tokens, .max_length = window});
  // A window's inputs predict its other tokens and the first of the next one.
  for (int64_t begin = 0; begin < count - 1; begin += window) {
    const auto piece = tokens.subspan(static_cast<size_t>(begin),
                                      static_cast<size_t>(std::min(window + 1, count - begin)));
    engine.AddRequest({.prompt = {piece.begin(), piece.end()},
                       .max_tokens = 0,
                       .score_from = 1,
                       .top_logprobs = options.top});
  }
  scores.logprobs.resize(static_cast<size_t>(count) - 1);
  if (options.top > 0) scores.top.resize(scores.logprobs.size());
  while (!engine.idle()) {
    for (EngineEvent& event : engine.Step()) {
      const auto place = static_cast<size_t>(event.request * window + event.position - 1);
      scores.logprobs[place] = event.logprob;
      if (options.top > 0) scores.top[place] = std::move(event.top);
    }
    progress(engine.statistics().tokens);
  }
  return scores;
}

}  // namespace fathom
