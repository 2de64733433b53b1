#include "text/chat/thinking_splitter.h"

#include <algorithm>
#include <utility>

#include "text/special_tokens.h"

namespace fathom {

std::vector<ThinkingSplitter::Piece> ThinkingSplitter::Push(std::string_view text) {
  held_ += text;
  std::vector<Piece> pieces;
  const auto take = [&](size_t length, Part part) {
    if (length > 0) pieces.push_back({part, held_.substr(0, length)});
    held_.erase(0, length);
  };
  for (;;) {
    const std::string_view mark = inside_ ? kThinkEnd : kThinkBegin;
    const Part part = inside_ ? Part::kThought : Part::kAnswer;
    const size_t place = held_.find(mark);
    if (place == std::string::npos) {
      // The longest end that a mark could begin with.
      size_t tail = std::min(mark.size() - 1, held_.size());
      while (!mark.starts_with(std::string_view(held_).substr(held_.size() - tail))) --tail;
      take(held_.size() - tail, part);
      return pieces;
    }
    take(place, part);
    take(mark.size(), Part::kMark);
    inside_ = !inside_;
  }
}

std::vector<ThinkingSplitter::Piece> ThinkingSplitter::Finish() {
  if (held_.empty()) return {};
  return {{inside_ ? Part::kThought : Part::kAnswer, std::exchange(held_, {})}};
}

}  // namespace fathom
