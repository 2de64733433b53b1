#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/thread_pool.h"
#include "data/token_corpus.h"

namespace fathom {

// Tokenises a sequence of documents on all threads of a pool and hands the tokens on in the order
// in which the documents came. Long documents are cut into pieces (text_pieces.h) that are
// tokenised apart. Holds a bounded amount of text (eight pieces a thread) and its tokens.
class ParallelEncoder {
 public:
  static constexpr size_t kPieceBytes = size_t{1} << 18;

  // A piece of a document and its tokens; `last` is set on the last piece of each document.
  struct Piece {
    std::string_view text;
    std::vector<int32_t> ids;
    uint64_t document_bytes = 0;
    int split = 0;
    bool last = false;
  };

  // take(piece) is called on the thread that calls Add and Flush.
  ParallelEncoder(const EncodeFunction& encode, ThreadPool& pool,
                  std::function<void(const Piece& piece)> take)
      : encode_(encode),
        pool_(pool),
        take_(std::move(take)),
        batch_bytes_(8 * kPieceBytes * static_cast<size_t>(pool.threads())) {}

  // split: a number of the caller's that comes back with every piece.
  void Add(std::string_view text, int split);
  // Hands on everything that was added.
  void Flush();

 private:
  struct Range {
    size_t begin, size;
  };

  const EncodeFunction& encode_;
  ThreadPool& pool_;
  std::function<void(const Piece& piece)> take_;
  size_t batch_bytes_;
  std::string text_;
  std::vector<Range> ranges_;
  std::vector<Piece> pieces_;
};

}  // namespace fathom
