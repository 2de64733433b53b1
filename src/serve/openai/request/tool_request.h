#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "text/chat/tool_call_form.h"
#include "text/jinja/data.h"

namespace fathom {

// tools, tool_choice and parallel_tool_calls of a request.
struct ToolRequest {
  enum class Choice {
    kNone,      // no calls
    kAuto,      // as the model likes
    kRequired,  // at least one call, of any of `callable`
  };
  Choice choice = Choice::kNone;
  std::vector<ToolDefinition> tools;     // that the model is told about
  std::vector<ToolDefinition> callable;  // all of them, or the one that is named
  jinja::Data data;                      // tools, as templates see them
  bool several = true;                   // calls in one answer

  bool strict() const;  // whether one of them is
};

// Of the whole body. Throws Error for what is wrong with them.
ToolRequest ReadTools(const JsonValue& root);

}  // namespace fathom
