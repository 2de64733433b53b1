#include "serve/openai/request/tool_request.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"

namespace fathom {
namespace {

constexpr size_t kMostTools = 128, kMostNameBytes = 64;

// As OpenAI has it: letters, digits, underscores and dashes.
void CheckName(const JsonValue& value) {
  const std::string_view name = value.String();
  const bool fits =
      !name.empty() && name.size() <= kMostNameBytes && std::ranges::all_of(name, [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-';
      });
  if (!fits) {
    throw Error(value.path(), "is no name of a function",
                fmt::format("letters, digits, '_' and '-', {} at most", kMostNameBytes));
  }
}

ToolDefinition ReadTool(const JsonValue& tool) {
  if (tool.At("type").String() != "function") {
    throw Error(tool.path(), "is no function", "tools of other types are not supported");
  }
  const JsonValue function = tool.At("function");
  CheckName(function.At("name"));
  ToolDefinition definition{.name = std::string(function.At("name").String()), .parameters = "{}"};
  if (const auto text = function.Find("description")) definition.description = text->String();
  if (const auto schema = function.Find("parameters")) {
    const auto type = schema->IsObject() ? schema->Find("type") : std::nullopt;
    if (!schema->IsObject() || (type && (!type->IsString() || type->String() != "object"))) {
      throw Error(schema->path(), "is no schema of an object");
    }
    definition.parameters = schema->Minified();
  }
  definition.strict = function.BoolOr("strict", false);
  return definition;
}

void ReadChoice(const JsonValue& value, ToolRequest& request) {
  if (value.IsString()) {
    const std::string_view choice = value.String();
    if (choice == "none") {
      request.choice = ToolRequest::Choice::kNone;
    } else if (choice == "auto") {
      request.choice = ToolRequest::Choice::kAuto;
    } else if (choice == "required") {
      request.choice = ToolRequest::Choice::kRequired;
    } else {
      throw Error(value.path(), fmt::format("'{}' is no choice", choice),
                  "none, auto, required, or a function");
    }
    return;
  }
  if (const auto type = value.Find("type"); type && type->String() != "function") {
    throw Error(type->path(), fmt::format("'{}' is not supported", type->String()),
                "none, auto, required, or a function");
  }
  const JsonValue name = value.At("function").At("name");
  std::erase_if(request.callable,
                [&](const ToolDefinition& tool) { return tool.name != name.String(); });
  if (request.callable.empty()) {
    throw Error(name.path(), fmt::format("there is no tool '{}'", name.String()));
  }
  request.choice = ToolRequest::Choice::kRequired;
}

}  // namespace

bool ToolRequest::strict() const {
  return std::ranges::any_of(callable, [](const ToolDefinition& tool) { return tool.strict; });
}

ToolRequest ReadTools(const JsonValue& root) {
  ToolRequest request;
  if (const auto tools = root.Find("tools")) {
    const std::vector<JsonValue> items = tools->Array();
    if (items.size() > kMostTools) {
      throw Error(tools->path(), fmt::format("has {} tools", items.size()),
                  fmt::format("{} are possible", kMostTools));
    }
    for (const JsonValue& tool : items) {
      ToolDefinition definition = ReadTool(tool);
      if (std::ranges::find(request.tools, definition.name, &ToolDefinition::name) !=
          request.tools.end()) {
        throw Error(tool.path(), fmt::format("there is another tool '{}'", definition.name));
      }
      request.tools.push_back(std::move(definition));
    }
    if (!items.empty()) request.data = jinja::Data::FromJson(*tools);
  }
  request.callable = request.tools;
  if (!request.tools.empty()) request.choice = ToolRequest::Choice::kAuto;
  if (const auto choice = root.Find("tool_choice")) ReadChoice(*choice, request);
  if (request.choice != ToolRequest::Choice::kNone && request.tools.empty()) {
    request.choice = ToolRequest::Choice::kNone;
    if (const auto choice = root.Find("tool_choice");
        !choice->IsString() || choice->String() != "auto") {
      throw Error(choice->path(), "wants a call, and there are no tools");
    }
  }
  request.several = root.BoolOr("parallel_tool_calls", true);
  return request;
}

}  // namespace fathom
