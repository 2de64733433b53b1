#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/pair_map.h"

namespace fathom {

// One entry of a vocabulary.
struct VocabularyToken {
  enum class Kind : uint8_t {
    kNone,     // no token has this id
    kBytes,    // any bytes; written with the printable characters of byte_level.h
    kLiteral,  // a string with characters that stand for no byte: merges never make it
  };
  std::string bytes;
  Kind kind = Kind::kNone;
  // A special token: text that only looks like it must not become it as a whole word.
  bool special = false;
};

// `left` beside `right` becomes `result`.
struct Merge {
  int32_t left;
  int32_t right;
  int32_t result;
};

// A byte-level BPE vocabulary: the tokens and the merges in order of rank. Immutable; safe to use
// from several threads at once.
class BpeModel {
 public:
  // tokens: by id. merges: by rank; of a pair that occurs twice the later counts. whole_words: a
  // word that is a kBytes token, not special, becomes that token without being merged
  // (`ignore_merges` in tokenizer.json; Llama 3). Throws Error (with `where`) when one of the 256
  // bytes has no token or a merge's id has no token.
  BpeModel(std::vector<VocabularyToken> tokens, std::vector<Merge> merges, std::string_view where,
           bool whole_words = false);
  BpeModel(BpeModel&&) = default;
  BpeModel& operator=(BpeModel&&) = default;

  std::span<const VocabularyToken> tokens() const { return tokens_; }
  std::span<const Merge> merges() const { return merges_; }

  struct RankedMerge {
    int32_t rank = -1;
    int32_t result = -1;
  };
  // The merge of a pair, or nullptr.
  const RankedMerge* FindMerge(int32_t left, int32_t right) const {
    return table_.Find({left, right});
  }
  int32_t ByteId(uint8_t byte) const { return byte_ids_[byte]; }

  bool whole_words() const { return whole_words_; }
  // The token that a word is as a whole, or -1; always -1 without whole_words.
  int32_t WholeWord(std::string_view word) const {
    if (!whole_words_) return -1;
    const auto found = ids_by_word_.find(word);
    return found == ids_by_word_.end() ? -1 : found->second;
  }

 private:
  std::vector<VocabularyToken> tokens_;
  std::vector<Merge> merges_;
  std::array<int32_t, 256> byte_ids_;
  PairMap<RankedMerge> table_;
  bool whole_words_;
  std::unordered_map<std::string_view, int32_t> ids_by_word_;  // views of tokens_
};

}  // namespace fathom
