#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "data/packed_documents.h"
#include "data/row_corpus.h"
#include "posttrain/sft/conversation.h"

namespace fathom {

// What a model that scores learns from: which of two answers is better, or labels of single ones.
enum class ScoreKind : uint8_t { kPairwise, kPointwise };

// Conversations that end with an answer, as a model that scores reads them: the chat template's
// prompt, the answer's thoughts and content, and the token that ends an answer, whose final hidden
// state is scored (ConversationEncoder).
class ScoredTextEncoder {
 public:
  // Both have to outlive it. Throws Error when the template has no token that ends an answer.
  ScoredTextEncoder(const ChatTemplate& chat, const Tokenizer& tokenizer);

  // messages: as templates see them. Throws Error with `where` when the last one is no assistant's.
  std::vector<int32_t> Encode(const jinja::Data& messages, const ChatOptions& options,
                              std::string_view where) const;

 private:
  ConversationEncoder encoder_;
};

// A row of a file of preferences or labels: the better text and the worse one, or a single text.
struct ScoredRow {
  std::vector<std::vector<int32_t>> texts;  // 2 or 1
  double value = 0;                         // margin, or label
};

// Reads a row in the forms that TRL's trainers and UltraFeedback have:
//   {"prompt": P, "chosen": A, "rejected": A, "margin": NUMBER}     kPairwise; margin may be
//   missing
//   {"prompt": P, "completion": A, "label": L}                     kPointwise
//   {"messages": [...], "label": L}                                 kPointwise
// P is a string (a user's message) or a list of messages ("messages" is another name for it), A a
// string (the assistant's answer), a list of messages that go on from P, or a whole conversation,
// which begins with something other than an assistant's message and needs no P. L is 0, 1, false
// or true; "safe" is another name for "label". "tools" beside them is read, too.
// labelled: false reads a kPointwise row without its label. Throws Error with the path of what is
// wrong or missing.
ScoredRow ReadScoredRow(const JsonValue& row, ScoreKind kind, const ScoredTextEncoder& encoder,
                        bool labelled = true);

// Rows as documents of a store: two 16-bit halves each of the first text's length and of the value
// (an IEEE float), then the texts' tokens. A store's bytes count the documents.
class ScoredRowEncoder : public RowEncoder {
 public:
  struct Limits {
    int64_t row = 0;   // tokens of a document's texts together
    int64_t text = 0;  // of one text: the model's context
  };
  // texts: has to outlive it. Documents over the limits are dropped, and counted.
  ScoredRowEncoder(const ScoredTextEncoder& texts, ScoreKind kind, int64_t vocabulary,
                   Limits limits)
      : texts_(texts), kind_(kind), vocabulary_(vocabulary), limits_(limits) {}

  EncodedRow Encode(const JsonValue& row) const override;
  int64_t store_vocabulary() const override;

 private:
  const ScoredTextEncoder& texts_;
  ScoreKind kind_;
  int64_t vocabulary_;
  Limits limits_;
};

ScoredRow ReadScoredDocument(const TokenStore& store, uint64_t index);

// A document is an example; its texts are segments beside each other.
class ScoredLayout : public DocumentLayout {
 public:
  int64_t extra_tokens() const override;
  void Put(const TokenStore& store, uint64_t index, int64_t row, int64_t column,
           TokenRows& batch) const override;
};

}  // namespace fathom
