#include "text/chat/reasoning_parts.h"

#include <utility>

namespace fathom {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

std::string_view WithoutLeadingSpace(std::string_view text) {
  const size_t begin = text.find_first_not_of(kSpace);
  return begin == std::string_view::npos ? std::string_view() : text.substr(begin);
}

}  // namespace

ReasoningParts::Delta ReasoningParts::Take(const std::vector<ThinkingSplitter::Piece>& pieces) {
  Delta delta;
  for (const auto& [part, piece] : pieces) {
    std::string_view text = piece;
    switch (part) {
      case ThinkingSplitter::Part::kMark:
        thinking_ = !thinking_;
        thought_ = true;
        space_.clear();
        break;
      case ThinkingSplitter::Part::kThought: {
        if (!reasoning_begun_) text = WithoutLeadingSpace(text);
        if (text.empty()) break;
        reasoning_begun_ = true;
        const size_t end = text.find_last_not_of(kSpace) + 1;  // 0: nothing but space
        if (end > 0) delta.reasoning += std::exchange(space_, {});
        delta.reasoning += text.substr(0, end);
        space_ += text.substr(end);
        break;
      }
      case ThinkingSplitter::Part::kAnswer:
        // An answer without thoughts is left as it is.
        if (thought_ && !content_begun_) text = WithoutLeadingSpace(text);
        content_begun_ = content_begun_ || !text.empty();
        delta.content += text;
        break;
    }
  }
  return delta;
}

}  // namespace fathom
