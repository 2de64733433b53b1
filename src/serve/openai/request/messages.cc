#include "serve/openai/request/messages.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "base/error.h"
#include "text/chat/chat_message.h"

namespace fathom {
namespace {

constexpr std::array<std::string_view, 5> kRoles = {"system", "developer", "user", "assistant",
                                                    "tool"};

void Check(const JsonValue& message) {
  const JsonValue role = message.At("role");
  if (std::ranges::find(kRoles, role.String()) == kRoles.end()) {
    throw Error(role.path(), fmt::format("'{}' is no role", role.String()),
                "system, developer, user, assistant or tool");
  }
  const std::optional<JsonValue> content = message.Find("content");
  // An assistant may have called tools, or only thought.
  if (!content && role.String() != "assistant") throw Error(message.path(), "has no content");
  if (content && !content->IsString() && !content->IsArray())
    throw Error(content->path(), "is neither a text nor a list of parts");
}

}  // namespace

jinja::Data ReadMessages(const JsonValue& messages) {
  for (const JsonValue& message : messages.Array()) Check(message);
  jinja::Data list = ChatMessagesFromJson(messages);
  for (jinja::Data& message : list.items) {
    if (message.Find("role")->string == "developer")
      message.Set("role", jinja::Data::String("system"));
  }
  return list;
}

}  // namespace fathom
