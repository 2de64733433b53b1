#include "cli/answer_view.h"

#include <algorithm>

#include "text/special_tokens.h"

namespace fathom {
namespace {

std::string Trimmed(const std::string& text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

}  // namespace

AnswerView::AnswerView(bool inside_thinking, bool dims) : inside_(inside_thinking), dims_(dims) {}

std::string AnswerView::Show(std::string_view text, bool thought) const {
  if (text.empty() || !dims_ || !thought) return std::string(text);
  return "\033[2m" + std::string(text) + "\033[0m";
}

std::string AnswerView::Push(std::string_view piece) {
  held_ += piece;
  std::string shown;
  for (;;) {
    const std::string_view mark = inside_ ? kThinkEnd : kThinkBegin;
    std::string& kept = inside_ ? thoughts_ : answer_;
    const size_t place = held_.find(mark);
    if (place != std::string::npos) {
      kept += held_.substr(0, place);
      shown += Show(std::string_view(held_).substr(0, place), inside_);
      shown += Show(mark, true);
      held_.erase(0, place + mark.size());
      inside_ = !inside_;
      continue;
    }
    // The longest end that a mark could begin with.
    size_t tail = std::min(mark.size() - 1, held_.size());
    while (tail > 0 && !mark.starts_with(std::string_view(held_).substr(held_.size() - tail))) {
      --tail;
    }
    const std::string_view ready = std::string_view(held_).substr(0, held_.size() - tail);
    kept += ready;
    shown += Show(ready, inside_);
    held_.erase(0, ready.size());
    return shown;
  }
}

std::string AnswerView::Finish() {
  (inside_ ? thoughts_ : answer_) += held_;
  std::string shown = Show(held_, inside_);
  held_.clear();
  return shown;
}

std::string AnswerView::thoughts() const { return Trimmed(thoughts_); }
std::string AnswerView::answer() const { return thoughts_.empty() ? answer_ : Trimmed(answer_); }

}  // namespace fathom
