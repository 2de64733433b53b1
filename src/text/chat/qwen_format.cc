#include <string>

#include "base/error.h"
#include "text/chat/format_writer.h"
#include "text/jinja/operations.h"
#include "text/jinja/text_methods.h"
#include "text/special_tokens.h"

namespace fathom {
namespace {

using jinja::Runtime;
using jinja::Text;
using jinja::Value;

constexpr std::string_view kStart = "<|im_start|>";
constexpr std::string_view kEnd = "<|im_end|>\n";

constexpr std::string_view kToolsBegin =
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are "
    "provided with function signatures within <tools></tools> XML tags:\n<tools>";
constexpr std::string_view kToolsEnd =
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments "
    "within <tool_call></tool_call> XML tags:\n<tool_call>\n{\"name\": <function-name>, "
    "\"arguments\": <args-json-object>}\n</tool_call>";

// ChatML with Qwen's tools.
class QwenWriter : public FormatWriter {
 public:
  explicit QwenWriter(const FormatInput& input)
      : FormatWriter(input),
        input_(input),
        messages_(jinja::Iterate(input.runtime, input.messages)) {
    if (messages_.empty()) input.runtime.Fail("there are no messages");
  }

  const std::vector<Value>& messages() const { return messages_; }
  Runtime& runtime() { return input_.runtime; }
  bool IsRole(size_t i, std::string_view role) {
    return i < messages_.size() && MemberIs(runtime(), messages_[i], "role", role);
  }
  Value Content(size_t i) { return Member(runtime(), messages_[i], "content"); }
  const Text& ContentText(size_t i) {
    // The value belongs to the message, so its text outlives this call.
    return StringOf(runtime(), Content(i), fmt::format("messages[{}].content", i));
  }

  // The first system message, or what stands for it, and the tools. default_system: may be empty,
  // then there is no system message unless there are tools.
  void System(std::string_view default_system) {
    const bool has_system = IsRole(0, "system");
    const bool has_tools = jinja::IsTrue(input_.tools);
    if (!has_system && !has_tools && default_system.empty()) return;
    Open("system");
    if (has_system) {
      PutString(Content(0), "the content of the system message");
    } else {
      Put(default_system);
    }
    if (has_tools) {
      if (has_system || !default_system.empty()) Put("\n\n");
      Put(kToolsBegin);
      for (const Value& tool : jinja::Iterate(runtime(), input_.tools)) {
        Put("\n");
        PutJson(tool);
      }
      Put(kToolsEnd);
    }
    Put(kEnd);
  }

  void Open(std::string_view role) {
    Put(kStart);
    Put(role);
    Put("\n");
  }

  void Message(size_t i) {
    Put(kStart);
    PutString(Member(runtime(), messages_[i], "role"), "the role of a message");
    Put("\n");
    Put(ContentText(i));
    Put(kEnd);
  }

  // Answers of tools that follow each other share one turn of the user's.
  void ToolResponse(size_t i) {
    if (i == 0 || !IsRole(i - 1, "tool")) {
      Put(kStart);
      Put("user");
    }
    Put("\n<tool_response>\n");
    Print(Content(i));
    Put("\n</tool_response>");
    if (!IsRole(i + 1, "tool")) Put(kEnd);
  }

  // quoted_text: arguments that are a string are written as JSON too, in quotes.
  void ToolCall(const Value& call, bool quoted_text) {
    const Value function = Member(runtime(), call, "function");
    const bool is_wrapped = quoted_text ? !function.IsUndefined() : jinja::IsTrue(function);
    const Value& inner = is_wrapped ? function : call;
    Put("<tool_call>\n{\"name\": \"");
    Print(Member(runtime(), inner, "name"));
    Put("\", \"arguments\": ");
    const Value arguments = Member(runtime(), inner, "arguments");
    if (arguments.IsString() && !quoted_text) {
      Print(arguments);
    } else {
      PutJson(arguments);
    }
    Put("}\n</tool_call>");
  }

 private:
  const FormatInput& input_;
  std::vector<Value> messages_;
};

}  // namespace

Text RenderQwen25(const FormatInput& input) {
  QwenWriter writer(input);
  Runtime& runtime = input.runtime;
  writer.System("You are Qwen, created by Alibaba Cloud. You are a helpful assistant.");
  for (size_t i = 0; i < writer.messages().size(); ++i) {
    const Value calls = Member(runtime, writer.messages()[i], "tool_calls");
    if (writer.IsRole(i, "user") || (writer.IsRole(i, "system") && i > 0) ||
        (writer.IsRole(i, "assistant") && !jinja::IsTrue(calls))) {
      writer.Message(i);
    } else if (writer.IsRole(i, "assistant")) {
      writer.Put(kStart);
      writer.Put("assistant");
      if (jinja::IsTrue(writer.Content(i))) {
        writer.Put("\n");
        writer.Put(writer.ContentText(i));
      }
      for (const Value& call : jinja::Iterate(runtime, calls)) {
        writer.Put("\n");
        writer.ToolCall(call, /*quoted_text=*/true);
      }
      writer.Put(kEnd);
    } else if (writer.IsRole(i, "tool")) {
      writer.ToolResponse(i);
    }
  }
  if (input.generation_prompt) writer.Open("assistant");
  return writer.Take();
}

Text RenderQwen3(const FormatInput& input) {
  QwenWriter writer(input);
  Runtime& runtime = input.runtime;
  const Text newline("\n", true);
  const auto strip = [&](const Text& text, int side) {
    return jinja::Strip(runtime, text, &newline, side);
  };
  writer.System("");
  const size_t count = writer.messages().size();
  // The last message of the user's that is not a tool's answer: thoughts after it stay.
  size_t last_query = count - 1;
  for (size_t i = count; i-- > 0;) {
    if (!writer.IsRole(i, "user")) continue;
    const std::string& text = writer.ContentText(i).bytes();
    if (text.starts_with("<tool_response>") && text.ends_with("</tool_response>")) continue;
    last_query = i;
    break;
  }
  for (size_t i = 0; i < count; ++i) {
    const Value& message = writer.messages()[i];
    if (writer.IsRole(i, "user") || (writer.IsRole(i, "system") && i > 0)) {
      writer.Message(i);
    } else if (writer.IsRole(i, "assistant")) {
      Text content = writer.ContentText(i);
      Text reasoning;
      const Value given = Member(runtime, message, "reasoning_content");
      if (!given.IsUndefined() && !given.IsNone()) {
        reasoning = StringOf(runtime, given, fmt::format("messages[{}].reasoning_content", i));
      } else if (const size_t end = content.bytes().find(kThinkEnd); end != std::string::npos) {
        reasoning = strip(AfterLast(strip(content.Slice(0, end), 1), kThinkBegin), -1);
        content = strip(AfterLast(content, kThinkEnd), -1);
      }
      writer.Open("assistant");
      if (i > last_query && (i + 1 == count || !reasoning.empty())) {
        writer.Put("<think>\n");
        writer.Put(strip(reasoning, 0));
        writer.Put("\n</think>\n\n");
        writer.Put(strip(content, -1));
      } else {
        writer.Put(content);
      }
      const Value calls = Member(runtime, message, "tool_calls");
      if (jinja::IsTrue(calls)) {
        bool is_first = true;
        for (const Value& call : jinja::Iterate(runtime, calls)) {
          if (!std::exchange(is_first, false) || !content.empty()) writer.Put("\n");
          writer.ToolCall(call, /*quoted_text=*/false);
        }
      }
      writer.Put(kEnd);
    } else if (writer.IsRole(i, "tool")) {
      writer.ToolResponse(i);
    }
  }
  if (input.generation_prompt) {
    writer.Open("assistant");
    const Value think = Member(runtime, input.variables, "enable_thinking");
    if (think.IsBool() && !think.boolean()) writer.Put("<think>\n\n</think>\n\n");
  }
  return writer.Take();
}

}  // namespace fathom
