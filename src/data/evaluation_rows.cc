#include "data/evaluation_rows.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "data/permutation.h"

namespace fathom {

EvaluationRows::EvaluationRows(std::shared_ptr<const TokenStore> store,
                               const EvaluationOptions& options)
    : store_(std::move(store)), options_(options) {
  if (options.sequence_length < 1 || options.context < 0 ||
      options.context >= options.sequence_length) {
    throw Error("evaluation",
                fmt::format("rows of {} tokens with {} of context", options.sequence_length,
                            options.context),
                "a row holds at least 1 token, and the context is shorter than a row");
  }
  if (store_->documents() == 0) {
    throw Error("evaluation", "no document is held out",
                "hold a larger share out, or name files for it");
  }
  if (store_->vocabulary() > options.vocabulary) {
    throw Error("evaluation",
                fmt::format("the text was tokenised for a vocabulary of {}, the model has {}",
                            store_->vocabulary(), options.vocabulary),
                "tokenise it with this model's tokenizer");
  }
  row_begins_.push_back(0);
  const bool all = options.max_tokens == 0 || options.max_tokens >= store_->tokens();
  const Permutation order(store_->documents(), options.seed);
  for (uint64_t i = 0; i < store_->documents(); ++i) {
    if (!all && targets_ + uniform_tokens_ >= options.max_tokens) break;
    AddDocument(all ? i : order(i));
  }
  if (filled_ > 0) row_begins_.push_back(windows_.size());
}

void EvaluationRows::AddDocument(uint64_t document) {
  const bool has_begin = options_.begin_token >= 0;
  // Tokens of the document as it is read: all but the last are inputs.
  const auto length = static_cast<int64_t>(store_->DocumentTokens(document)) + (has_begin ? 1 : 0);
  ++documents_;
  bytes_ += store_->DocumentBytes(document);
  targets_ += static_cast<uint64_t>(length - 1);
  if (!has_begin) ++uniform_tokens_;
  for (int64_t fresh = 0; fresh < length - 1;) {
    const int64_t begin = std::max<int64_t>(0, fresh - options_.context);
    const int64_t end = std::min(begin + options_.sequence_length, length - 1);
    AddWindow({document, begin, end - begin, fresh - begin, 0});
    fresh = end;
  }
}

void EvaluationRows::AddWindow(Window window) {
  if (filled_ + window.length > options_.sequence_length) {
    row_begins_.push_back(windows_.size());
    filled_ = 0;
  }
  window.column = filled_;
  filled_ += window.length;
  windows_.push_back(window);
}

void EvaluationRows::Read(int64_t first, int64_t count, TokenRows& batch) const {
  FATHOM_CHECK(first >= 0 && count >= 0 && count <= rows() - first);
  const int64_t length = options_.sequence_length;
  batch.Reset(count, length, options_.depth);
  std::vector<int32_t> ids;
  for (int64_t row = 0; row < count; ++row) {
    int32_t* tokens = batch.tokens.data() + row * (length + 1 + options_.depth);
    int64_t filled = 0;
    const auto index = static_cast<size_t>(first + row);
    for (size_t w = row_begins_[index]; w < row_begins_[index + 1]; ++w) {
      const Window& window = windows_[w];
      // The inputs and the token after them, of which the begin token is not in the store.
      ids.resize(static_cast<size_t>(window.length) + 1);
      const int64_t shift = options_.begin_token >= 0 ? 1 : 0;
      const int64_t added = window.begin < shift ? 1 : 0;
      if (added == 1) ids[0] = options_.begin_token;
      store_->Copy(window.document, static_cast<uint64_t>(window.begin + added - shift),
                   static_cast<uint64_t>(window.length + 1 - added), ids.data() + added);
      std::copy_n(ids.begin(), window.length, tokens + window.column);
      for (int64_t level = 0; level <= options_.depth; ++level) {
        int32_t* targets = batch.targets.data() + (level * count + row) * length;
        for (int64_t i = window.context; i + level < window.length; ++i)
          targets[window.column + i] = ids[static_cast<size_t>(i + level + 1)];
      }
      batch.segments.push_back({row, window.column, window.length});
      filled = window.column + window.length;
    }
    if (filled < length) batch.segments.push_back({row, filled, length - filled});
  }
}

double EvaluationRows::BitsPerByte(double nats) const {
  const double uniform_bits =
      static_cast<double>(uniform_tokens_) * std::log2(static_cast<double>(options_.vocabulary));
  return (nats / std::log(2.0) + uniform_bits) / static_cast<double>(bytes_);
}

}  // namespace fathom
