#include "posttrain/evaluation/text_scoring.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/error.h"

namespace fathom {
namespace {

// Windows that wait in the engine at a time.
constexpr int64_t kWaiting = 128;

// The windows of texts, one after the other.
class Windows {
 public:
  Windows(const Tokenizer& tokenizer, std::span<const std::string> texts,
          const TextScoringOptions& options)
      : tokenizer_(tokenizer), texts_(texts), options_(options) {}

  // False after the last one.
  bool Next(GenerationRequest& request) {
    while (end_ >= ids_.size()) {
      if (text_ == texts_.size()) return false;
      ids_.clear();
      if (options_.begin_token >= 0) ids_.push_back(options_.begin_token);
      tokenizer_.Encode(texts_[text_++], {.added_tokens = false}, ids_);
      end_ = 0;
      if (ids_.size() < 2) ids_.clear();
    }
    const auto context = static_cast<size_t>(options_.context);
    // The next token to be scored needs at least the one before it.
    const size_t begin = end_ == 0 ? 0 : end_ - std::max<size_t>(1, context);
    const size_t first = std::max<size_t>(1, end_);
    end_ = std::min(ids_.size(), begin + static_cast<size_t>(options_.window));
    request = {.prompt = {ids_.begin() + static_cast<std::ptrdiff_t>(begin),
                          ids_.begin() + static_cast<std::ptrdiff_t>(end_)},
               .max_tokens = 0,
               .score_from = static_cast<int64_t>(first - begin)};
    return true;
  }

 private:
  const Tokenizer& tokenizer_;
  std::span<const std::string> texts_;
  const TextScoringOptions& options_;
  size_t text_ = 0, end_ = 0;
  std::vector<int32_t> ids_;
};

}  // namespace

double TextScore::bits_per_byte() const {
  return bytes > 0 ? nats / std::log(2.0) / static_cast<double>(bytes)
                   : std::numeric_limits<double>::quiet_NaN();
}

double TextScore::perplexity() const {
  return tokens > 0 ? std::exp(nats / static_cast<double>(tokens))
                    : std::numeric_limits<double>::quiet_NaN();
}

TextScore ScoreTexts(Engine& engine, const Tokenizer& tokenizer, std::span<const std::string> texts,
                     const TextScoringOptions& options,
                     FunctionRef<bool(int64_t tokens)> progress) {
  FATHOM_CHECK(options.window > 1 && options.context >= 0 && options.context < options.window - 1);
  TextScore score{.texts = static_cast<int64_t>(texts.size())};
  Windows windows(tokenizer, texts, options);
  int64_t waiting = 0;
  bool more = true;
  while (more || !engine.idle()) {
    while (more && waiting < kWaiting) {
      GenerationRequest request;
      more = windows.Next(request);
      if (!more) break;
      engine.AddRequest(std::move(request));
      ++waiting;
    }
    if (engine.idle()) break;
    for (const EngineEvent& event : engine.Step()) {
      if (event.finish == FinishReason::kFailed) throw Error("scoring", event.error);
      if (event.finish != FinishReason::kNone) --waiting;
      if (!event.scored) continue;
      ++score.tokens;
      score.nats -= event.logprob;
      if (!tokenizer.IsSpecial(event.token)) {
        score.bytes += static_cast<int64_t>(tokenizer.TokenBytes(event.token).size());
      }
    }
    if (!progress(score.tokens)) return score;
  }
  return score;
}

}  // namespace fathom
