#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/bpe.h"

namespace fathom {

// Encodes words of one vocabulary, remembering short words it has seen. For one thread at a time:
// make one a thread. The model has to outlive it.
class BpeEncoder {
 public:
  explicit BpeEncoder(const BpeModel& model);

  // Appends the ids of `word`: its bytes, merged by the lowest rank first, by the leftmost of equal
  // ones (Sennrich et al. 2016); or the one token that it is, if the model says so. n log n in the
  // length of the word.
  void Encode(std::string_view word, std::vector<int32_t>& ids);

 private:
  static constexpr size_t kCacheSlots = 1 << 15;
  static constexpr size_t kCachedBytes = 30;
  static constexpr size_t kCachedIds = 8;

  // One remembered word: a cache line. A word has one place; a newer one takes it over.
  struct alignas(64) CachedWord {
    uint8_t bytes = 0;  // length of the word; 0: empty
    uint8_t count = 0;
    std::array<char, kCachedBytes> word;
    std::array<int32_t, kCachedIds> ids;
  };

  void EncodeUnseen(std::string_view word, std::vector<int32_t>& ids);
  void MergeShort(std::string_view word, std::vector<int32_t>& ids);
  void MergeLong(std::string_view word, std::vector<int32_t>& ids);

  const BpeModel& model_;
  std::vector<CachedWord> cache_;

  // MergeShort: what is left of the word, and for each symbol its merge with the next one.
  std::vector<int32_t> symbols_;
  std::vector<BpeModel::RankedMerge> with_next_;

  // MergeLong: symbols as a linked list over byte positions; candidates in a heap, of which those
  // that no longer hold are dropped when they come up.
  struct Node {
    int32_t id;  // -1: merged into the one before
    int32_t previous;
    int32_t next;
  };
  struct Candidate {
    int32_t rank;
    int32_t position;
    int32_t left, right;
    bool operator>(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : position > other.position;
    }
  };
  std::vector<Node> nodes_;
  std::vector<Candidate> heap_;
};

}  // namespace fathom
