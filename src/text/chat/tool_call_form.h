#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "text/jinja/data.h"

namespace fathom {

// How a model writes that it calls tools, after what else it says.
enum class ToolCallForm : uint8_t {
  kNone,  // nothing is known of it
  kDeepSeekV3,  // <｜tool▁call▁begin｜>function<｜tool▁sep｜>NAME, the arguments as a block of code
  kDeepSeekV31,  // <｜tool▁call▁begin｜>NAME<｜tool▁sep｜>ARGUMENTS<｜tool▁call▁end｜>
  kQwen,         // <tool_call>{"name": NAME, "arguments": ARGUMENTS}</tool_call>
};

// What stands around calls and inside of them.
struct ToolCallMarks {
  std::string_view begin;       // before the first call; may be empty
  std::string_view call_begin;  // before each
  std::string_view before_name, after_name;
  std::string_view after_arguments;
  std::string_view call_end;
  std::string_view between;  // two calls
  std::string_view end;      // after the last call; may be empty
};
// Of a form that is known.
const ToolCallMarks& MarksOf(ToolCallForm form);

// The form that a prompt has in which an assistant has called a tool.
ToolCallForm FindToolCallForm(std::string_view prompt);

// A tool that may be called.
struct ToolDefinition {
  std::string name, description;
  std::string parameters;  // a JSON Schema, as text
  bool strict = false;     // arguments are always valid for it
};

// The messages with a description of the tools at the end of the system message, in DeepSeek's
// words: for templates that show none.
jinja::Data WithToolsDescribed(const jinja::Data& messages, std::span<const ToolDefinition> tools,
                               ToolCallForm form);

}  // namespace fathom
