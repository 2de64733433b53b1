#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "text/jinja/data.h"

namespace fathom {

struct ToolCall {
  std::string name;
  std::string arguments;  // a JSON object
  std::string id;
};

struct ChatMessage {
  std::string role;  // "system", "user", "assistant", "tool", or what else the template knows
  std::string content;
  std::optional<std::string> reasoning;  // an assistant's thoughts, where they are kept apart
  std::vector<ToolCall> tool_calls;      // an assistant's
  std::string tool_call_id;              // of a tool's answer
  std::string name;                      // of the tool that answers
};

// The messages as templates see them, as OpenAI's API and Hugging Face write them: an array of
// objects with role, content, reasoning_content, tool_calls, tool_call_id and name.
jinja::Data ChatMessagesToData(std::span<const ChatMessage> messages);

// Messages in JSON, as templates see them. Throws Error with the path of what is wrong: not an
// array of objects, a role that is missing or no string, content that is neither null, a string nor
// a list of parts, tool_calls that are not a list of objects.
jinja::Data ChatMessagesFromJson(const JsonValue& messages);
// The same of a request to an OpenAI-style API, or of a row of data; "developer" becomes "system".
// Throws Error for what says something else than it seems to, too: a role that is none of OpenAI's,
// and no content but in an assistant's message with tool_calls or thoughts.
jinja::Data ConversationFromJson(const JsonValue& messages);

// How a template wants the messages that clients write in several ways.
struct MessageForm {
  // "arguments" of a tool call: an object, or its JSON text as OpenAI's clients send it.
  bool arguments_are_objects = true;
  // "content" where an assistant only calls tools: null or an empty string.
  bool empty_content_is_null = false;

  bool operator==(const MessageForm&) const = default;
};

// The messages in that form. Content in parts becomes one string, text parts joined by a newline
// (Error for other parts); reasoning is found under each of the names that templates know;
// tool_calls that are null or empty are left out.
jinja::Data NormalizeMessages(const jinja::Data& messages, const MessageForm& form);

}  // namespace fathom
