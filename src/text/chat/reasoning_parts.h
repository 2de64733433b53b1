#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/chat/thinking_splitter.h"

namespace fathom {

// An answer as DeepSeek's API gives it: what was thought, and what was said, without the marks
// between them and the white space around those.
class ReasoningParts {
 public:
  struct Delta {
    std::string reasoning, content;
    bool empty() const { return reasoning.empty() && content.empty(); }
  };

  // inside_thinking: the prompt has opened the thoughts.
  explicit ReasoningParts(bool inside_thinking)
      : splitter_(inside_thinking), thinking_(inside_thinking), thought_(inside_thinking) {}

  Delta Push(std::string_view text) { return Take(splitter_.Push(text)); }
  Delta Finish() { return Take(splitter_.Finish()); }
  // Whether what came last was a thought.
  bool thinking() const { return thinking_; }

 private:
  Delta Take(const std::vector<ThinkingSplitter::Piece>& pieces);

  ThinkingSplitter splitter_;
  bool thinking_, thought_;  // now; at any time
  bool reasoning_begun_ = false, content_begun_ = false;
  std::string space_;  // after a thought, that belongs to it if it goes on
};

}  // namespace fathom
