#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/mixture.h"
#include "data/packed_stream.h"
#include "data/row_source.h"
#include "data/token_corpus.h"
#include "data/token_rows.h"

namespace fathom {

struct TrainingRowsOptions {
  int64_t sequence_length = 0;
  // Rows of the largest step; only to tell whether the corpus is large enough.
  int64_t batch_rows = 1;
  int64_t depth = 0;
  // Whether attention and positions begin anew at every document, and what would be predicted
  // across a border is ignored. Otherwise a row is one segment.
  bool document_mask = true;
  // The model's; tokens are below it.
  int64_t vocabulary = 0;
  PackingOptions packing;
};

struct TrainingSource {
  std::string name;
  double weight = 1;
  std::shared_ptr<const TokenStore> store;
};

// Rows of running text out of one or more sources.
//
// Each source goes through epochs of its own: its documents in an order of this epoch, packed into
// one stream (PackedStream), cut into rows, and the rows shuffled in turn, so that the rows of a
// long document are spread over the epoch. Every token but the first of the stream is the level-0
// target of one row, once an epoch; the last row of the stream overlaps the one before it, with the
// shared targets ignored. A document that a row border cuts goes on in another row as a segment of
// its own.
class TrainingRows : public RowSource {
 public:
  // Throws Error when a source is too small for one row or for its share of one batch, when the
  // vocabularies do not fit, and for special tokens or rates out of range.
  TrainingRows(std::vector<TrainingSource> sources, const TrainingRowsOptions& options);

  void Read(uint64_t first, int64_t count, TokenRows& batch) override;

  struct Use {
    std::string name;
    uint64_t rows = 0;
    uint64_t epoch_rows = 0;  // in an epoch of this source

    double epochs() const { return static_cast<double>(rows) / static_cast<double>(epoch_rows); }
  };
  // What the first `rows` rows of the run take from each source.
  std::vector<Use> UseAfter(uint64_t rows) const;

  uint64_t Fingerprint() const override;

 private:
  struct State {
    PackingOptions packing;
    uint64_t length = 0;
    uint64_t rows = 0;
    // The epoch read last.
    uint64_t epoch = 0;
    std::optional<PackedStream> stream;
    std::optional<Permutation> row_order;
  };

  void ReadRow(size_t source, uint64_t index, int64_t row, TokenRows& batch);

  std::vector<TrainingSource> sources_;
  TrainingRowsOptions options_;
  Mixture mixture_;
  std::vector<State> states_;
  // The document of each token of a row.
  std::vector<uint64_t> documents_;
};

}  // namespace fathom
