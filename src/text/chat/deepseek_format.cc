#include <string>

#include "text/chat/format_writer.h"
#include "text/jinja/operations.h"
#include "text/special_tokens.h"

namespace fathom {
namespace {

using jinja::Runtime;
using jinja::Text;
using jinja::Value;

constexpr std::string_view kCallsBegin = "<｜tool▁calls▁begin｜>";
constexpr std::string_view kCallsEnd = "<｜tool▁calls▁end｜>";
constexpr std::string_view kCallBegin = "<｜tool▁call▁begin｜>";
constexpr std::string_view kCallEnd = "<｜tool▁call▁end｜>";
constexpr std::string_view kToolSeparator = "<｜tool▁sep｜>";
constexpr std::string_view kOutputsBegin = "<｜tool▁outputs▁begin｜>";
constexpr std::string_view kOutputsEnd = "<｜tool▁outputs▁end｜>";
constexpr std::string_view kOutputBegin = "<｜tool▁output▁begin｜>";
constexpr std::string_view kOutputEnd = "<｜tool▁output▁end｜>";
constexpr std::string_view kThinkLine = "<think>\n";

// What the formats of this family share.
class DeepSeekWriter : public FormatWriter {
 public:
  explicit DeepSeekWriter(const FormatInput& input) : FormatWriter(input), input_(input) {}

  void Begin() { Print(Member(runtime(), input_.variables, "bos_token")); }

  void User(const Value& message) {
    in_outputs_ = false;
    Put(kUser);
    PutString(Member(runtime(), message, "content"), "the content of a user's message");
  }

  void Assistant(const Value& message) {
    const Value content = Member(runtime(), message, "content");
    const Text& text = StringOf(runtime(), content, "the content of an assistant's message");
    if (in_outputs_) {
      Put(kOutputsEnd);
      Put(text);
      in_outputs_ = false;
    } else {
      // The thoughts of earlier answers are left out.
      Put(kAssistant);
      Put(AfterLast(text, kThinkEnd));
    }
    Put(kEndOfSentence);
  }

  // separator: what stands before an output that is not the first.
  void ToolOutput(const Value& message, std::string_view separator) {
    in_outputs_ = true;
    Put(has_outputs_ ? separator : kOutputsBegin);
    has_outputs_ = true;
    Put(kOutputBegin);
    PutString(Member(runtime(), message, "content"), "the content of a tool's message");
    Put(kOutputEnd);
  }

  // One call, with what comes before it: `opening` in front of the conversation's first one. The
  // released templates never begin a second row of calls.
  bool Call(const Value& call, const Text& opening) {
    const bool is_first = !std::exchange(has_calls_, true);
    if (is_first) {
      Put(kAssistant);
      Put(opening);
      Put(kCallsBegin);
    } else {
      Put("\n");
    }
    const Value function = Member(runtime(), call, "function");
    Put(kCallBegin);
    PutString(Member(runtime(), call, "type"), "the type of a tool call");
    Put(kToolSeparator);
    PutString(Member(runtime(), function, "name"), "the name of a tool call");
    Put("\n```json\n");
    PutString(Member(runtime(), function, "arguments"), "the arguments of a tool call");
    Put("\n```");
    Put(kCallEnd);
    return is_first;
  }

  void EndCalls() {
    Put(kCallsEnd);
    Put(kEndOfSentence);
  }

  Text Finish(bool think) {
    if (in_outputs_) {
      Put(kOutputsEnd);
    } else if (input_.generation_prompt) {
      Put(kAssistant);
      if (think) Put(kThinkLine);
    }
    return Take();
  }

  Runtime& runtime() { return input_.runtime; }
  void LeaveOutputs() { in_outputs_ = false; }

 private:
  const FormatInput& input_;
  bool in_outputs_ = false;   // the last message is a tool's
  bool has_outputs_ = false;  // there was one
  bool has_calls_ = false;
};

// DeepSeek-V3 and R1: system messages stand first, joined by an empty line.
Text RenderV3(const FormatInput& input, bool think) {
  DeepSeekWriter writer(input);
  Runtime& runtime = input.runtime;
  writer.Begin();
  const std::vector<Value> messages = jinja::Iterate(runtime, input.messages);
  bool has_system = false;
  for (const Value& message : messages) {
    if (!MemberIs(runtime, message, "role", "system")) continue;
    if (std::exchange(has_system, true)) writer.Put("\n\n");
    writer.PutString(Member(runtime, message, "content"), "the content of a system message");
  }
  for (const Value& message : messages) {
    if (MemberIs(runtime, message, "role", "user")) {
      writer.User(message);
    } else if (MemberIs(runtime, message, "role", "tool")) {
      writer.ToolOutput(message, "");
    } else if (MemberIs(runtime, message, "role", "assistant")) {
      const Value calls = Member(runtime, message, "tool_calls");
      if (calls.IsUndefined()) {
        writer.Assistant(message);
        continue;
      }
      writer.LeaveOutputs();
      const Value content = Member(runtime, message, "content");
      for (const Value& call : jinja::Iterate(runtime, calls)) {
        writer.Call(call, content.IsNone() ? Text()
                                           : StringOf(runtime, content,
                                                      "the content of an assistant's message"));
      }
      writer.EndCalls();
    }
  }
  return writer.Finish(think);
}

}  // namespace

Text RenderFathom(const FormatInput& input) {
  return RenderV3(input, jinja::IsTrue(Member(input.runtime, input.variables, "enable_thinking")));
}

Text RenderDeepSeekV3(const FormatInput& input) { return RenderV3(input, /*think=*/false); }

Text RenderDeepSeekR1(const FormatInput& input) { return RenderV3(input, /*think=*/true); }

// R1's distilled models: the last system message counts, an assistant calls tools only where its
// content is null, and a row of calls is closed after each call but the first.
Text RenderDeepSeekR1Distill(const FormatInput& input) {
  DeepSeekWriter writer(input);
  Runtime& runtime = input.runtime;
  writer.Begin();
  const std::vector<Value> messages = jinja::Iterate(runtime, input.messages);
  Value system = runtime.String("");
  for (const Value& message : messages) {
    if (MemberIs(runtime, message, "role", "system")) system = Member(runtime, message, "content");
  }
  writer.Print(system);
  for (const Value& message : messages) {
    if (MemberIs(runtime, message, "role", "user")) {
      writer.User(message);
    } else if (MemberIs(runtime, message, "role", "tool")) {
      writer.ToolOutput(message, "\n");
    } else if (MemberIs(runtime, message, "role", "assistant")) {
      if (!Member(runtime, message, "content").IsNone()) {
        writer.Assistant(message);
        continue;
      }
      writer.LeaveOutputs();
      for (const Value& call : jinja::Iterate(runtime, Member(runtime, message, "tool_calls"))) {
        if (!writer.Call(call, {})) writer.EndCalls();
      }
    }
  }
  return writer.Finish(/*think=*/true);
}

}  // namespace fathom
