#include "text/chat/chat_message.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "text/jinja/json_writer.h"

namespace fathom {
namespace {

using jinja::Data;

// An assistant's thoughts have three names; a template knows one of them.
constexpr std::array<std::string_view, 3> kReasoningNames = {"reasoning_content", "thinking",
                                                             "reasoning"};

std::string JoinParts(const Data& parts, const std::string& where) {
  std::string text;
  bool first = true;
  for (size_t i = 0; i < parts.items.size(); ++i) {
    const Data& part = parts.items[i];
    const std::string place = fmt::format("{}[{}]", where, i);
    const Data* content = &part;
    if (part.IsObject()) {
      const Data* type = part.Find("type");
      if (type != nullptr && type->IsString() && type->string != "text") {
        throw Error(place, fmt::format("a part of type '{}' is not supported", type->string),
                    "only text can be read");
      }
      content = part.Find("text");
    }
    if (content == nullptr || !content->IsString()) {
      throw Error(place, "is not a text part", "{\"type\": \"text\", \"text\": \"...\"}");
    }
    if (!std::exchange(first, false)) text += '\n';
    text += content->string;
  }
  return text;
}

// The object that a JSON text is; null when it is none.
Data ObjectFromText(const std::string& text) {
  try {
    const JsonDocument document(text, "arguments");
    if (document.root().IsObject()) return Data::FromJson(document.root());
  } catch (const Error&) {
    // A model wrote it; what is not JSON stays the text that it is.
  }
  return Data::Null();
}

std::string TextFromObject(const Data& object) {
  const jinja::Limits limits;
  jinja::Runtime runtime("arguments", limits);
  return jinja::ToJson(runtime, runtime.FromData(object)).bytes();
}

void NormalizeToolCalls(Data& calls, const MessageForm& form) {
  for (Data& call : calls.items) {
    Data* function = call.Find("function");
    Data* arguments = (function != nullptr ? *function : call).Find("arguments");
    if (arguments == nullptr) continue;
    if (form.arguments_are_objects && arguments->IsString()) {
      Data object = ObjectFromText(arguments->string);
      if (object.IsObject()) *arguments = std::move(object);
    } else if (!form.arguments_are_objects && arguments->IsObject()) {
      *arguments = Data::String(TextFromObject(*arguments));
    }
  }
}

void NormalizeReasoning(Data& message) {
  Data reasoning;
  for (const std::string_view name : kReasoningNames) {
    const Data* found = message.Find(name);
    if (reasoning.IsNull() && found != nullptr) reasoning = *found;
  }
  if (reasoning.IsNull()) return;
  for (const std::string_view name : kReasoningNames) {
    const Data* found = message.Find(name);
    if (found == nullptr || found->IsNull()) message.Set(name, reasoning);
  }
}

constexpr std::array<std::string_view, 5> kMessageRoles = {"system", "developer", "user",
                                                           "assistant", "tool"};

// An assistant may have called tools, or only thought.
bool MayLackContent(const JsonValue& message) {
  if (message.At("role").String() != "assistant") return false;
  return message.Find("tool_calls") || std::any_of(kReasoningNames.begin(), kReasoningNames.end(),
                                                   [&](auto name) { return message.Find(name); });
}

void CheckMessage(const JsonValue& message) {
  const JsonValue role = message.At("role");
  if (std::find(kMessageRoles.begin(), kMessageRoles.end(), role.String()) == kMessageRoles.end()) {
    throw Error(role.path(), fmt::format("'{}' is no role", role.String()),
                "system, developer, user, assistant or tool");
  }
  const auto content = message.Find("content");
  if (!content && !MayLackContent(message)) throw Error(message.path(), "has no content");
  if (content && !content->IsString() && !content->IsArray())
    throw Error(content->path(), "is neither a text nor a list of parts");
}

}  // namespace

Data ChatMessagesToData(std::span<const ChatMessage> messages) {
  Data list = Data::Array();
  for (const ChatMessage& message : messages) {
    Data data = Data::Object();
    data.Set("role", Data::String(message.role));
    data.Set("content", Data::String(message.content));
    if (message.reasoning) data.Set("reasoning_content", Data::String(*message.reasoning));
    if (!message.tool_calls.empty()) {
      Data calls = Data::Array();
      for (const ToolCall& call : message.tool_calls) {
        Data function = Data::Object();
        function.Set("name", Data::String(call.name));
        function.Set("arguments", Data::String(call.arguments));
        Data item = Data::Object();
        item.Set("id", Data::String(call.id));
        item.Set("type", Data::String("function"));
        item.Set("function", std::move(function));
        calls.items.push_back(std::move(item));
      }
      data.Set("tool_calls", std::move(calls));
    }
    if (!message.tool_call_id.empty()) {
      data.Set("tool_call_id", Data::String(message.tool_call_id));
    }
    if (!message.name.empty()) data.Set("name", Data::String(message.name));
    list.items.push_back(std::move(data));
  }
  return list;
}

Data ChatMessagesFromJson(const JsonValue& messages) {
  Data list = Data::Array();
  for (const JsonValue& message : messages.Array()) {
    message.At("role").String();
    if (const auto content = message.Find("content"); content && !content->IsString()) {
      content->Array();
    }
    if (const auto calls = message.Find("tool_calls")) {
      for (const JsonValue& call : calls->Array()) call.Object();
    }
    list.items.push_back(Data::FromJson(message));
  }
  return list;
}

Data ConversationFromJson(const JsonValue& messages) {
  for (const JsonValue& message : messages.Array()) CheckMessage(message);
  Data list = ChatMessagesFromJson(messages);
  for (Data& message : list.items) {
    if (message.Find("role")->string == "developer") message.Set("role", Data::String("system"));
  }
  return list;
}

Data NormalizeMessages(const Data& messages, const MessageForm& form) {
  Data result = messages;
  for (size_t i = 0; i < result.items.size(); ++i) {
    Data& message = result.items[i];
    if (!message.IsObject()) continue;
    if (const Data* content = message.Find("content"); content != nullptr && content->IsArray()) {
      message.Set("content",
                  Data::String(JoinParts(*content, fmt::format("messages[{}].content", i))));
    }
    NormalizeReasoning(message);
    Data* calls = message.Find("tool_calls");
    if (calls != nullptr && (calls->IsNull() || calls->items.empty())) {
      message.Remove("tool_calls");
      calls = nullptr;
    }
    if (calls != nullptr) NormalizeToolCalls(*calls, form);
    const Data* content = message.Find("content");
    const bool is_empty =
        content == nullptr || content->IsNull() || (content->IsString() && content->string.empty());
    if (is_empty) {
      const bool as_null = calls != nullptr && form.empty_content_is_null;
      message.Set("content", as_null ? Data::Null() : Data::String(""));
    }
  }
  return result;
}

}  // namespace fathom
