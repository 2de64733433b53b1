#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "data/row_source.h"
#include "data/token_store.h"

namespace fathom {

struct PackedSource {
  std::shared_ptr<const TokenStore> store;
  // How often a pass has each of its documents; of a fraction, a random part of them.
  double weight = 1;
};

// How a document of a store stands in a row.
class DocumentLayout {
 public:
  virtual ~DocumentLayout() = default;
  // Tokens of every document that are no inputs of a row.
  virtual int64_t extra_tokens() const = 0;
  // Puts a document into a row of the batch, its inputs from `column` on, with its segments and
  // what is learnt of it.
  virtual void Put(const TokenStore& store, uint64_t index, int64_t row, int64_t column,
                   TokenRows& batch) const = 0;
};

struct PackedDocumentsOptions {
  int64_t sequence_length = 0;  // inputs of a row, and the most of a document
  int64_t depth = 0;            // MTP modules
  uint64_t seed = 0;
};

// One pass through all documents in a random order (of the seed and the pass), whole ones packed
// into rows. A document goes into the row under way that it leaves least room in, of a few that are
// under way (best fit). What stays free of a row is a segment of its own, without targets.
class PackedDocuments {
 public:
  // The layout and the sources have to outlive it. most_tokens: ends the pass when its documents
  // have so many; 0: never.
  PackedDocuments(const DocumentLayout& layout, const std::vector<PackedSource>& sources,
                  const PackedDocumentsOptions& options, uint64_t pass, uint64_t most_tokens = 0);

  int64_t rows() const { return static_cast<int64_t>(row_ends_.size()); }
  uint64_t documents() const { return items_.size(); }
  // Of the inputs of all rows, those that belong to documents.
  double filled() const;

  // Row `row` of the pass as row `into` of a batch that has its size.
  void ReadRow(int64_t row, int64_t into, TokenRows& batch) const;

 private:
  struct Item {
    uint32_t source;
    uint64_t index;
  };

  int64_t InputsOf(const Item& item) const;

  const DocumentLayout& layout_;
  const std::vector<PackedSource>& sources_;
  int64_t length_;
  uint64_t inputs_ = 0;
  std::vector<Item> items_;  // row by row
  std::vector<size_t> row_ends_;
};

// Pass after pass.
class PackedDocumentRows : public RowSource {
 public:
  // The layout has to outlive it. Throws Error when the weights leave no document.
  PackedDocumentRows(const DocumentLayout& layout, std::vector<PackedSource> sources,
                     const PackedDocumentsOptions& options);
  // A pass refers to the sources.
  PackedDocumentRows(const PackedDocumentRows&) = delete;
  PackedDocumentRows& operator=(const PackedDocumentRows&) = delete;

  void Read(uint64_t first, int64_t count, TokenRows& batch) override;
  uint64_t Fingerprint() const override;

  // Rows of the first `passes` passes.
  uint64_t RowsOf(uint64_t passes);
  // Steps of `batch_rows` rows that `epochs` passes fill, at least one: 2.5 epochs are two passes
  // and half of the rows of the third.
  int64_t StepsOf(double epochs, int64_t batch_rows);
  // Epochs of so many steps, each of as many rows as the first pass has.
  double EpochsOf(int64_t steps, int64_t batch_rows);

 private:
  const PackedDocuments& Pass(uint64_t pass);

  const DocumentLayout& layout_;
  std::vector<PackedSource> sources_;
  PackedDocumentsOptions options_;
  std::vector<uint64_t> pass_ends_;  // in rows, of the passes known so far
  uint64_t pass_ = 0;                // the one packed last
  std::optional<PackedDocuments> packed_;
};

}  // namespace fathom
