#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat/reasoning_parts.h"
#include "text/chat/tool_call_parser.h"

namespace fathom {

// Takes an assistant's answer apart as it comes: what was thought, what was said, and which tools
// are called.
class AnswerReader {
 public:
  struct News {
    std::string reasoning, content;
    std::vector<ToolCall> calls;  // without ids
  };

  // inside_thinking: the prompt has opened the thoughts. form: how tools are called; kNone: not at
  // all. several_calls: a second call counts, too.
  AnswerReader(bool inside_thinking, ToolCallForm form, bool several_calls);

  News Push(std::string_view text);
  // What was held back, at the answer's end.
  News Finish();

  // Whether what came last was a thought.
  bool thinking() const { return parts_.thinking(); }
  // How many so far.
  size_t calls() const { return calls_; }
  // Nothing that could follow counts.
  bool has_enough() const { return !several_calls_ && calls_ > 0; }

 private:
  void Take(ToolCallParser::Delta delta, News& news);

  ReasoningParts parts_;
  std::optional<ToolCallParser> parser_;
  const bool several_calls_;
  size_t calls_ = 0;
};

}  // namespace fathom
