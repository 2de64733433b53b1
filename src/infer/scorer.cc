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

// The `top` most likely tokens of each row of logits, given the rows' ln sum exp.
void AppendTop(std::span<const float> logits, std::span<const float> lse, int64_t top,
               std::vector<std::vector<RankedToken>>& out) {
  const size_t vocabulary = logits.size() / lse.size();
  std::vector<int32_t> ids(vocabulary);
  for (size_t row = 0; row < lse.size(); ++row) {
    const float* values = logits.data() + row * vocabulary;
    std::iota(ids.begin(), ids.end(), 0);
    const auto end = ids.begin() + std::min(top, static_cast<int64_t>(vocabulary));
    std::partial_sort(ids.begin(), end, ids.end(), [&](int32_t a, int32_t b) {
      return values[a] != values[b] ? values[a] > values[b] : a < b;
    });
    std::vector<RankedToken>& ranked = out.emplace_back();
    for (auto id = ids.begin(); id != end; ++id) ranked.push_back({*id, values[*id] - lse[row]});
  }
}

}  // namespace

int64_t ScoreCacheTokens(const ModelConfig& config, int64_t tokens, const ScoreOptions& options) {
  return std::clamp<int64_t>(tokens - 1, 1, Window(config, options));
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
  const auto inputs = static_cast<int64_t>(tokens.size()) - 1;
  TokenScores scores;
  if (inputs < 1) return scores;
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
    const DType sum = transformer.precision().sum;
    const Tensor logprob = context.workspace->New(sum, Shape({size}));
    const Tensor targets = UploadIds(context, *context.workspace, piece(begin + 1));
    if (options.top > 0) {
      const Tensor logits = context.workspace->New(sum, Shape({size, vocabulary}));
      const Tensor lse = context.workspace->New(sum, Shape({size}));
      transformer.head().Logits(context, h, logits);
      context.backend->LogProb(context, logits, 1, targets, logprob, lse);
      AppendTop(Download(context, logits), Download(context, lse), options.top, scores.top);
    } else {
      transformer.head().LogProb(context, h, 1, targets, logprob);
    }
    const std::vector<float> values = Download(context, logprob);
    scores.logprobs.insert(scores.logprobs.end(), values.begin(), values.end());
    begin += size;
    progress(begin);
  }
  return scores;
}

}  // namespace fathom
