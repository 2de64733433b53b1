#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "data/row_source.h"
#include "data/token_store.h"

namespace fathom {

struct ConversationSource {
  std::shared_ptr<const TokenStore> store;  // conversation_corpus.h
  // How often a pass has each of its sequences; of a fraction, a random part of them.
  double weight = 1;
};

struct ConversationRowsOptions {
  int64_t sequence_length = 0;  // inputs of a row; sequences have at most one token more
  int64_t depth = 0;            // MTP modules
  uint64_t seed = 0;
};

// One pass through all sequences in a random order (of the seed and the pass), whole ones packed
// into rows and each a segment of its own. A sequence goes into the row under way that it leaves
// least room in, of a few that are under way (best fit). What stays free of a row is a segment of
// its own, without targets.
class PackedConversations {
 public:
  // most_tokens: ends the pass when its sequences have so many; 0: never.
  PackedConversations(const std::vector<ConversationSource>& sources,
                      const ConversationRowsOptions& options, uint64_t pass,
                      uint64_t most_tokens = 0);

  int64_t rows() const { return static_cast<int64_t>(row_ends_.size()); }
  uint64_t sequences() const { return items_.size(); }
  // Of the inputs of all rows, those that belong to sequences.
  double filled() const;

  // Row `row` of the pass as row `into` of a batch that has its size.
  void ReadRow(int64_t row, int64_t into, TokenRows& batch) const;

 private:
  struct Item {
    uint32_t source;
    uint64_t index;
  };

  const std::vector<ConversationSource>& sources_;
  int64_t length_;
  uint64_t inputs_ = 0;
  std::vector<Item> items_;  // row by row
  std::vector<size_t> row_ends_;
};

// Pass after pass.
class ConversationRows : public RowSource {
 public:
  ConversationRows(std::vector<ConversationSource> sources, const ConversationRowsOptions& options);
  // A pass refers to the sources.
  ConversationRows(const ConversationRows&) = delete;
  ConversationRows& operator=(const ConversationRows&) = delete;

  void Read(uint64_t first, int64_t count, TokenRows& batch) override;
  uint64_t Fingerprint() const override;

  // Rows of the first `passes` passes.
  uint64_t RowsOf(uint64_t passes);

 private:
  const PackedConversations& Pass(uint64_t pass);

  std::vector<ConversationSource> sources_;
  ConversationRowsOptions options_;
  std::vector<uint64_t> pass_ends_;  // in rows, of the passes known so far
  uint64_t pass_ = 0;                // the one packed last
  std::optional<PackedConversations> packed_;
};

}  // namespace fathom
