#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "data/permutation.h"
#include "data/token_store.h"

namespace fathom {

// Fill-in-the-middle (Bavarian et al., arXiv 2207.14255; DeepSeek-V3 section 4.2: prefix, suffix,
// middle): a document cut at two random places becomes
//   <begin> prefix <hole> suffix <end> middle
struct FillInTheMiddle {
  // The share of the documents; 0 to 1.
  double rate = 0;
  int32_t begin_token = -1, hole_token = -1, end_token = -1;
};

struct PackingOptions {
  // Follows every document.
  int32_t end_token = -1;
  // Precedes every document, unless it is -1.
  int32_t begin_token = -1;
  FillInTheMiddle fill_in_the_middle;
  uint64_t seed = 0;
};

// One epoch of a store as a single stream of tokens: every document once, in a random order of
// this epoch, with its begin and end tokens, some rearranged to fill in the middle. Every epoch has
// the same length. Memory: a few bytes for every 64 documents; any place is reached directly.
class PackedStream {
 public:
  PackedStream(std::shared_ptr<const TokenStore> store, const PackingOptions& options,
               uint64_t epoch);

  static uint64_t Length(const TokenStore& store, const PackingOptions& options);
  uint64_t length() const { return length_; }

  // Copies tokens [begin, begin + count) of the stream, and for each the place of its document in
  // the order of this epoch (so that a change of it is a border between documents).
  void Copy(uint64_t begin, uint64_t count, int32_t* tokens, uint64_t* documents) const;

 private:
  // Whether the document at this place of the order is rearranged: the same number of them in every
  // epoch, which keeps the length.
  static bool IsRearranged(const PackingOptions& options, uint64_t place);
  static uint64_t Rearranged(const PackingOptions& options, uint64_t documents);

  uint64_t PlaceLength(uint64_t place) const;
  // Copies tokens [begin, begin + count) of one document as it stands in the stream.
  void CopyDocument(uint64_t place, uint64_t begin, uint64_t count, int32_t* tokens) const;

  std::shared_ptr<const TokenStore> store_;
  PackingOptions options_;
  Permutation order_;
  uint64_t cut_key_;
  uint64_t length_;
  // Where in the stream the documents at places 0, 64, 128, ... begin.
  std::vector<uint64_t> begins_;
};

}  // namespace fathom
