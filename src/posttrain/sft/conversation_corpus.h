#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "base/thread_pool.h"
#include "data/source.h"
#include "data/token_store.h"
#include "posttrain/sft/conversation.h"

namespace fathom {

// What becomes of a sequence that is longer than a row.
enum class TooLong { kDrop, kTruncate };

struct ConversationCorpusOptions {
  int64_t most_tokens = 0;  // of a sequence
  TooLong too_long = TooLong::kDrop;
  double held_out_fraction = 0;  // of the conversations, by file and line (IsHeldOut)
  uint64_t seed = 0;
};

// The sequences of a source's conversations, those to train on and those held out. Of a store's
// tokens, twice the id is kept, plus one where the token is to be predicted; a store's bytes count
// these targets. See ReadSequence.
struct ConversationCorpus {
  std::string name;
  std::shared_ptr<const TokenStore> train, held_out;
  uint64_t conversations = 0;
  uint64_t too_long = 0;  // sequences that were dropped or cut
};

// Encodes the conversations of the JSON-lines files of a source, on all threads of the pool, into
// `directory`, which is made anew. Throws Error for sources that cannot be read, for a line that
// is no conversation ("chat.jsonl:17: ..."; counted instead where the source says so), and when
// there is nothing to learn at all.
ConversationCorpus MakeConversationCorpus(const SourceSpec& spec,
                                          const ConversationEncoder& encoder, int64_t vocabulary,
                                          const ConversationCorpusOptions& options,
                                          const std::filesystem::path& directory, ThreadPool& pool,
                                          bool quiet);

LabelledTokens ReadSequence(const TokenStore& store, uint64_t index);

}  // namespace fathom
