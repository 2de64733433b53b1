#include "infer/scorer.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "infer/forward.h"
#include "ops/backend.h"

namespace fathom {
namespace {

int64_t Window(const ModelConfig& config, const ScoreOptions& options) {
  return options.window > 0 ? options.window : config.max_position_embeddings;
}

}  // namespace

int64_t ScoreCacheTokens(const ModelConfig& config, int64_t tokens, const ScoreOptions& options) {
  return std::clamp<int64_t>(tokens - 1, 1, Window(config, options));
}

std::vector<float> ScoreTokens(Context& context, const Transformer& transformer,
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
  const auto inputs = static_cast<int64_t>(tokens.size()) - 1;
  std::vector<float> logprobs;
  if (inputs < 1) return logprobs;
  const int64_t window = Window(transformer.config(), options);
  const auto count = static_cast<int64_t>(tokens.size());
  KvCache cache(transformer.config(), transformer.precision(),
                ScoreCacheTokens(transformer.config(), count, options),
                context.backend->allocator());
  const int64_t cache_id = cache.NewSequence();
  FATHOM_CHECK(cache.Reserve(cache_id, std::min(inputs, window)));
  for (int64_t begin = 0; begin < inputs;) {
    const int64_t position = begin % window;
    const int64_t size = std::min({options.chunk_tokens, inputs - begin, window - position});
    const auto piece = [&](int64_t first) {
      return tokens.subspan(static_cast<size_t>(first), static_cast<size_t>(size));
    };
    ArenaScope scope(*context.workspace);
    std::vector<int32_t> rows(static_cast<size_t>(size));
    std::iota(rows.begin(), rows.end(), 0);
    const Tensor h = ForwardRows(
        context, transformer, cache, piece(begin),
        {{.begin = 0, .count = size, .first_position = position, .cache_id = cache_id}}, rows);
    const Tensor logprob = context.workspace->New(transformer.precision().sum, Shape({size}));
    transformer.head().LogProb(context, h, 1,
                               UploadIds(context, *context.workspace, piece(begin + 1)), logprob);
    const std::vector<float> values = Download(context, logprob);
    logprobs.insert(logprobs.end(), values.begin(), values.end());
    begin += size;
    progress(begin);
  }
  return logprobs;
}

}  // namespace fathom
