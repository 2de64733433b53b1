#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/thread_pool.h"
#include "text/special_tokens.h"
#include "text/tokenizer.h"
#include "text/word_counts.h"

namespace fathom {

struct BpeTrainerOptions {
  // Tokens in all: special ones, the 256 bytes, merges. Fewer come out when the text runs out of
  // pairs.
  int64_t vocab_size = 4096;
  // A pair that is rarer is not merged.
  int64_t min_frequency = 2;
  // Their ids are given anew: 0, 1, ... in this order.
  std::vector<AddedToken> special_tokens = DeepSeekSpecialTokens();
  bool quiet = true;
};

// Learns merges from words: always the most frequent pair of neighbours, of equally frequent ones
// that with the lowest ids (left, then right). Ids: special tokens, the bytes in printable order
// (byte_level.h), then merges as they are learnt. The result is, merge for merge, that of Hugging
// Face's BpeTrainer with initial_alphabet=ByteLevel.alphabet() and its other settings as they come.
// Throws Error when vocab_size is too small for the special tokens and the bytes.
BpeModel TrainBpe(const WordCounts& words, const BpeTrainerOptions& options);

// The whole way from documents to a tokenizer.
Tokenizer TrainTokenizer(PreTokenizer pre_tokenizer, std::span<const std::string_view> documents,
                         const BpeTrainerOptions& options, ThreadPool& pool);

}  // namespace fathom
