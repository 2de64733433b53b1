#include "text/chat/tool_call_form.h"

#include <fmt/format.h>

#include "base/error.h"

namespace fathom {
namespace {

using jinja::Data;

constexpr ToolCallMarks kDeepSeekV3Marks = {.begin = "<｜tool▁calls▁begin｜>",
                                            .call_begin = "<｜tool▁call▁begin｜>",
                                            .before_name = "function<｜tool▁sep｜>",
                                            .after_name = "\n```json\n",
                                            .after_arguments = "\n```",
                                            .call_end = "<｜tool▁call▁end｜>",
                                            .between = "\n",
                                            .end = "<｜tool▁calls▁end｜>"};
constexpr ToolCallMarks kDeepSeekV31Marks = {.begin = "<｜tool▁calls▁begin｜>",
                                             .call_begin = "<｜tool▁call▁begin｜>",
                                             .before_name = "",
                                             .after_name = "<｜tool▁sep｜>",
                                             .after_arguments = "",
                                             .call_end = "<｜tool▁call▁end｜>",
                                             .between = "",
                                             .end = "<｜tool▁calls▁end｜>"};
constexpr ToolCallMarks kQwenMarks = {.begin = "",
                                      .call_begin = "<tool_call>",
                                      .before_name = "\n{\"name\": \"",
                                      .after_name = "\", \"arguments\": ",
                                      .after_arguments = "}\n",
                                      .call_end = "</tool_call>",
                                      .between = "\n",
                                      .end = ""};

// A call as it is to be written, between what it is made of.
std::string Example(const ToolCallMarks& marks) {
  return fmt::format("{}{}{}tool_call_name{}tool_call_arguments{}{}{{additional_tool_calls}}{}",
                     marks.begin, marks.call_begin, marks.before_name, marks.after_name,
                     marks.after_arguments, marks.call_end, marks.end);
}

// As DeepSeek-V3.1's model card describes tools to it. It stands among what clients wrote, where no
// name becomes an added token (EncodePrompt); so the marks of the example are letters.
std::string Described(std::span<const ToolDefinition> tools, const ToolCallMarks& marks) {
  std::string text = "## Tools\nYou have access to the following tools:\n";
  for (const ToolDefinition& tool : tools) {
    text += fmt::format("\n### {}\nDescription: {}\n\nParameters: {}\n", tool.name,
                        tool.description, tool.parameters);
  }
  text += fmt::format(
      "\nIMPORTANT: ALWAYS adhere to this exact format for tool use:\n{}\n\nWhere:\n"
      "- `tool_call_name` must be an exact match to one of the available tools\n"
      "- `tool_call_arguments` must be valid JSON that strictly follows the tool's Parameters "
      "Schema\n"
      "- For multiple tool calls, chain them directly without separators or spaces\n",
      Example(marks));
  return text;
}

}  // namespace

const ToolCallMarks& MarksOf(ToolCallForm form) {
  switch (form) {
    case ToolCallForm::kDeepSeekV3:
      return kDeepSeekV3Marks;
    case ToolCallForm::kDeepSeekV31:
      return kDeepSeekV31Marks;
    case ToolCallForm::kQwen:
      return kQwenMarks;
    case ToolCallForm::kNone:
      break;
  }
  FATHOM_CHECK(false);
}

ToolCallForm FindToolCallForm(std::string_view prompt) {
  const auto has = [&](std::string_view text) { return prompt.find(text) != prompt.npos; };
  if (has(kDeepSeekV3Marks.call_begin)) {
    return has(kDeepSeekV3Marks.before_name) ? ToolCallForm::kDeepSeekV3
                                             : ToolCallForm::kDeepSeekV31;
  }
  return has(std::string(kQwenMarks.call_begin) + "\n{\"name\"") ? ToolCallForm::kQwen
                                                                 : ToolCallForm::kNone;
}

Data WithToolsDescribed(const Data& messages, std::span<const ToolDefinition> tools,
                        ToolCallForm form) {
  Data result = messages;
  const std::string text = Described(tools, MarksOf(form));
  if (!result.items.empty()) {
    const Data *role = result.items[0].Find("role"), *content = result.items[0].Find("content");
    if (role != nullptr && role->string == "system" && content != nullptr && content->IsString()) {
      result.items[0].Set("content", Data::String(content->string + "\n\n" + text));
      return result;
    }
  }
  Data system = Data::Object();
  system.Set("role", Data::String("system"));
  system.Set("content", Data::String(text));
  result.items.insert(result.items.begin(), std::move(system));
  return result;
}

}  // namespace fathom
