#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "data/token_rows.h"
#include "data/token_store.h"

namespace fathom {

struct EvaluationOptions {
  int64_t sequence_length = 0;
  // A document longer than a row is read in windows; every window but the first begins with this
  // many tokens that were predicted before and only serve as context. 0 is fastest, half a row
  // costs twice as much and scores nearly as one long row would.
  int64_t context = 0;
  // Precedes every document; -1: nothing does, and a document's first token is charged as
  // uniform over the vocabulary.
  int32_t begin_token = -1;
  int64_t vocabulary = 0;
  // Multi-token-prediction modules that are scored too.
  int64_t depth = 0;
  // Reads whole documents, in a random order fixed by the seed, until they hold this many tokens;
  // 0: all of them.
  uint64_t max_tokens = 0;
  uint64_t seed = 0;
};

// Documents laid out to be scored: every token of each is a target exactly once, given only tokens
// of its own document. Ends of documents are not scored, so that bits per byte compare with those
// of a model of bytes. A fixed set of rows, each of one or more windows (segments).
class EvaluationRows {
 public:
  // Throws Error when the store holds no document or its vocabulary is larger than the model's.
  EvaluationRows(std::shared_ptr<const TokenStore> store, const EvaluationOptions& options);

  int64_t rows() const { return static_cast<int64_t>(row_begins_.size()) - 1; }
  // Documents, bytes of text and tokens that are scored.
  uint64_t documents() const { return documents_; }
  uint64_t bytes() const { return bytes_; }
  uint64_t targets() const { return targets_; }

  // Rows [first, first + count). Targets are what counts: at the end of a segment, `tokens` goes on
  // with the next segment's. Level k predicts the tokens that level 0 scores k places later, but
  // for those whose window ends before.
  void Read(int64_t first, int64_t count, TokenRows& batch) const;

  // nats: the sum of -ln p over all targets of all rows.
  double BitsPerByte(double nats) const;

 private:
  struct Window {
    uint64_t document;
    // The window's first input among the document's tokens (its begin token included), the number
    // of inputs, how many of them only serve as context, and where in its row it stands.
    int64_t begin, length, context, column;
  };

  void AddDocument(uint64_t document);
  void AddWindow(Window window);

  std::shared_ptr<const TokenStore> store_;
  EvaluationOptions options_;
  std::vector<Window> windows_;
  // The first window of each row; one more at the end.
  std::vector<size_t> row_begins_;
  int64_t filled_ = 0;
  uint64_t documents_ = 0, bytes_ = 0, targets_ = 0, uniform_tokens_ = 0;
};

}  // namespace fathom
