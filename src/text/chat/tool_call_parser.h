#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/chat/chat_message.h"
#include "text/chat/tool_call_form.h"

namespace fathom {

// Finds calls of tools in an answer (without its thoughts) that comes piece by piece. A call is
// told when it is whole and its arguments are a JSON object; what is marked as a call and is none
// is text. What could still become a call is held back.
class ToolCallParser {
 public:
  struct Delta {
    std::string text;             // what is no call, without the marks and white space around calls
    std::vector<ToolCall> calls;  // without ids
  };

  explicit ToolCallParser(ToolCallForm form) : marks_(MarksOf(form)) {}

  Delta Push(std::string_view text);
  // What is left at the end; a last call may lack its closing marks.
  Delta Finish();

 private:
  // Ends of a call that are tried: its arguments may spell one.
  static constexpr int kMostTries = 16;

  void Take(Delta& delta, bool at_end);
  // Takes one call from the beginning of what is held, or its text where it is none; false: more
  // has to come.
  bool TakeCall(Delta& delta, bool at_end);
  void PutText(std::string_view text, Delta& delta);
  // The call whose inside this is; false when it is none.
  bool Read(std::string_view inside, ToolCall& call) const;

  void Drop(size_t length);

  const ToolCallMarks& marks_;
  std::string held_;
  size_t tried_ = 0;  // of a call in held_: no end of it begins before this
  int tries_ = 0;
  std::string space_;    // before a call, that is text if none comes
  bool called_ = false;  // there was a call
};

}  // namespace fathom
