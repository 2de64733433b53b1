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
  if (state_ == State::kBefore) {
    const std::string_view begin = kThinkBegin;
    take(std::min(held_.find_first_not_of(" \t\r\n"), held_.size()), Part::kAnswer);
    if (held_.starts_with(begin)) {
      take(begin.size(), Part::kMark);
      state_ = State::kInside;
    } else if (!begin.starts_with(held_)) {
      state_ = State::kAfter;
    }
  }
  if (state_ == State::kInside) {
    const std::string_view end = kThinkEnd;
    const size_t place = held_.find(end);
    if (place != std::string::npos) {
      take(place, Part::kThought);
      take(end.size(), Part::kMark);
      state_ = State::kAfter;
    } else {
      // The longest end that the mark could begin with.
      size_t tail = std::min(end.size() - 1, held_.size());
      while (!end.starts_with(std::string_view(held_).substr(held_.size() - tail))) --tail;
      take(held_.size() - tail, Part::kThought);
    }
  }
  if (state_ == State::kAfter) take(held_.size(), Part::kAnswer);
  return pieces;
}

std::vector<ThinkingSplitter::Piece> ThinkingSplitter::Finish() {
  if (held_.empty()) return {};
  return {{state_ == State::kInside ? Part::kThought : Part::kAnswer, std::exchange(held_, {})}};
}

}  // namespace fathom
