#pragma once

#include <span>
#include <string>

#include "text/chat/tool_call_form.h"
#include "text/grammar/json_text.h"
#include "text/tokenizer.h"

namespace fathom {

// A tool as it may be called.
struct CallableTool {
  std::string name;
  grammar::Expression arguments;  // JSON objects
};

// One call or several of these tools, and nothing else.
grammar::Expression ToolCallsOnly(ToolCallForm form, std::span<const CallableTool> tools,
                                  bool several, const Tokenizer& tokenizer,
                                  grammar::GrammarBuilder& builder);
// Any text, which may end in calls of these tools.
grammar::Expression TextOrToolCalls(ToolCallForm form, std::span<const CallableTool> tools,
                                    bool several, const Tokenizer& tokenizer,
                                    grammar::GrammarBuilder& builder);

}  // namespace fathom
