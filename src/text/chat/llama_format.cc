#include <ctime>
#include <string>

#include "text/chat/format_writer.h"
#include "text/jinja/operations.h"
#include "text/jinja/text_methods.h"
#include "text/jinja/time_text.h"

namespace fathom {
namespace {

using jinja::Runtime;
using jinja::Text;
using jinja::Value;

constexpr std::string_view kEndOfTurn = "<|eot_id|>";

class LlamaWriter : public FormatWriter {
 public:
  explicit LlamaWriter(const FormatInput& input) : FormatWriter(input), runtime_(input.runtime) {}

  void Open(std::string_view role) {
    Put("<|start_header_id|>");
    Put(role);
    Put("<|end_header_id|>\n\n");
  }
  Text Trimmed(const Value& value) {
    return jinja::Strip(runtime_, jinja::ToText(runtime_, value), nullptr);
  }
  void Message(const Value& message) {
    Put("<|start_header_id|>");
    PutString(Member(runtime_, message, "role"), "the role of a message");
    Put("<|end_header_id|>\n\n");
    Put(Trimmed(Member(runtime_, message, "content")));
    Put(kEndOfTurn);
  }
  void ToolDefinitions(const Value& tools) {
    for (const Value& tool : jinja::Iterate(runtime_, tools)) {
      PutIndentedJson(tool);
      Put("\n\n");
    }
  }
  void ToolCall(const Value& call) {
    const Value function = Member(runtime_, call, "function");
    Open("assistant");
    Put("{\"name\": \"");
    PutString(Member(runtime_, function, "name"), "the name of a tool call");
    Put("\", \"parameters\": ");
    PutJson(Member(runtime_, function, "arguments"));
    Put("}");
    Put(kEndOfTurn);
  }
  // A tool's answer; a string is written as JSON too.
  void ToolOutput(const Value& message) {
    Open("ipython");
    const Value content = Member(runtime_, message, "content");
    if (jinja::IsIterable(content)) {
      PutJson(content);
    } else {
      Print(content);
    }
    Put(kEndOfTurn);
  }

 private:
  Runtime& runtime_;
};

// date: what "Today Date" says unless the variable date_string does.
Text RenderWithTools(const FormatInput& input, const std::string& date) {
  LlamaWriter writer(input);
  Runtime& runtime = input.runtime;
  const auto variable = [&](std::string_view name) {
    return Member(runtime, input.variables, name);
  };
  const Value custom_tools = variable("custom_tools");
  const Value tools = custom_tools.IsUndefined() ? input.tools : custom_tools;
  const bool has_tools = !tools.IsNone();
  const Value place = variable("tools_in_user_message");
  const bool tools_in_message = place.IsUndefined() || jinja::IsTrue(place);
  const std::vector<Value> messages = jinja::Iterate(runtime, input.messages);
  if (messages.empty()) runtime.Fail("there are no messages");

  writer.Print(variable("bos_token"));
  size_t next = 0;
  Text system;
  if (MemberIs(runtime, messages[0], "role", "system")) {
    system = writer.Trimmed(Member(runtime, messages[next++], "content"));
  }
  writer.Open("system");
  if (has_tools) writer.Put("Environment: ipython\n");
  writer.Put("Cutting Knowledge Date: December 2023\nToday Date: ");
  const Value date_string = variable("date_string");
  writer.PutString(date_string.IsUndefined() ? runtime.String(date) : date_string, "date_string");
  writer.Put("\n\n");
  if (has_tools && !tools_in_message) {
    writer.Put(
        "You have access to the following functions. To call a function, please respond with JSON "
        "for a function call."
        "Respond in the format {\"name\": function name, \"parameters\": dictionary of argument "
        "name and its value}.Do not use variables.\n\n");
    writer.ToolDefinitions(tools);
  }
  writer.Put(system);
  writer.Put(kEndOfTurn);
  if (has_tools && tools_in_message) {
    if (next == messages.size()) {
      runtime.Fail(
          "Cannot put tools in the first user message when there's no first user message!");
    }
    writer.Open("user");
    writer.Put(
        "Given the following functions, please respond with a JSON for a function call with its "
        "proper arguments that best answers the given prompt.\n\n"
        "Respond in the format {\"name\": function name, \"parameters\": dictionary of argument "
        "name and its value}.Do not use variables.\n\n");
    writer.ToolDefinitions(tools);
    writer.Put(writer.Trimmed(Member(runtime, messages[next++], "content")));
    writer.Put(kEndOfTurn);
  }
  for (; next < messages.size(); ++next) {
    const Value& message = messages[next];
    const Value calls = Member(runtime, message, "tool_calls");
    const bool is_output =
        MemberIs(runtime, message, "role", "tool") || MemberIs(runtime, message, "role", "ipython");
    if (!calls.IsUndefined()) {
      const std::vector<Value> items = jinja::Iterate(runtime, calls);
      if (items.size() != 1) runtime.Fail("This model only supports single tool-calls at once!");
      writer.ToolCall(items[0]);
    } else if (is_output) {
      writer.ToolOutput(message);
    } else {
      writer.Message(message);
    }
  }
  if (input.generation_prompt) writer.Open("assistant");
  return writer.Take();
}

}  // namespace

Text RenderLlama3(const FormatInput& input) {
  LlamaWriter writer(input);
  bool is_first = true;
  for (const Value& message : jinja::Iterate(input.runtime, input.messages)) {
    if (std::exchange(is_first, false)) {
      writer.PutString(Member(input.runtime, input.variables, "bos_token"), "bos_token");
    }
    writer.Message(message);
  }
  if (input.generation_prompt) writer.Open("assistant");
  return writer.Take();
}

Text RenderLlama31(const FormatInput& input) { return RenderWithTools(input, "26 Jul 2024"); }

Text RenderLlama32(const FormatInput& input) {
  return RenderWithTools(input, jinja::TimeText(input.runtime, "%d %b %Y", input.now));
}

}  // namespace fathom
