#include "data/parallel_encoder.h"

#include <atomic>

#include "data/text_pieces.h"

namespace fathom {

void ParallelEncoder::Add(std::string_view text, int split) {
  const uint64_t document_bytes = text.size();
  while (!text.empty()) {
    const size_t length = FirstPieceLength(text, kPieceBytes);
    ranges_.push_back({text_.size(), length});
    text_.append(text.substr(0, length));
    text.remove_prefix(length);
    pieces_.push_back({{}, {}, document_bytes, split, text.empty()});
    if (text_.size() >= batch_bytes_) Flush();
  }
}

void ParallelEncoder::Flush() {
  // Which thread takes which piece does not matter to the result, and pieces differ in cost.
  std::atomic<size_t> next{0};
  pool_.Run([&](int) {
    for (size_t i = next++; i < pieces_.size(); i = next++) {
      pieces_[i].text = std::string_view(text_).substr(ranges_[i].begin, ranges_[i].size);
      encode_(pieces_[i].text, pieces_[i].ids);
    }
  });
  for (const Piece& piece : pieces_) take_(piece);
  pieces_.clear();
  ranges_.clear();
  text_.clear();
}

}  // namespace fathom
