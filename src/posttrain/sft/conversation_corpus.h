#pragma once

#include <cstdint>
#include <filesystem>

#include "base/thread_pool.h"
#include "data/packed_documents.h"
#include "data/row_corpus.h"
#include "posttrain/sft/conversation.h"
#include "posttrain/sft/solved_problem.h"

namespace fathom {

// What becomes of a sequence that is longer than a row.
enum class TooLong { kDrop, kTruncate };

struct ConversationCorpusOptions {
  int64_t most_tokens = 0;  // of a sequence
  TooLong too_long = TooLong::kDrop;
  SolutionPart solution = SolutionPart::kThoughts;  // of rows that are problems
  RowCorpusOptions rows;
};

// The sequences of a source's conversations. A row without "messages" is a problem with its answer
// (data/tasks/task_file.h), GSM8K's and MATH's too, and becomes one. Of a store's tokens, twice the
// id is kept, plus one where the token is to be predicted; a store's bytes count these targets. See
// ReadSequence.
//
// Errors of MakeRowCorpus, and when there is nothing to learn at all.
RowCorpus MakeConversationCorpus(const SourceSpec& spec, const ConversationEncoder& encoder,
                                 int64_t vocabulary, const ConversationCorpusOptions& options,
                                 const std::filesystem::path& directory, ThreadPool& pool,
                                 bool quiet);

LabelledTokens ReadSequence(const TokenStore& store, uint64_t index);

// A sequence is a segment; its last token is only predicted.
class ConversationLayout : public DocumentLayout {
 public:
  int64_t extra_tokens() const override { return 1; }
  void Put(const TokenStore& store, uint64_t index, int64_t row, int64_t column,
           TokenRows& batch) const override;
};

}  // namespace fathom
