#include "serve/openai/request/responses_request.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "serve/message/message.h"
#include "serve/openai/request/api_error.h"

namespace fathom {
namespace {

using nlohmann::ordered_json;

[[noreturn]] void Refuse(const std::string& field, std::string_view what) {
  throw ApiError(400, fmt::format("{}: {} is not supported", field, what), field, "unsupported");
}

[[noreturn]] void Wrong(const std::string& field, std::string_view what) {
  throw ApiError(400, fmt::format("{}: {}", field, what), field);
}

// A field of an object, or null.
const ordered_json& Field(const ordered_json& object, const char* name) {
  static const ordered_json kNull;
  const auto found = object.find(name);
  return found == object.end() ? kNull : *found;
}

std::string TextField(const ordered_json& object, const char* name, const std::string& where) {
  const ordered_json& value = Field(object, name);
  if (!value.is_string()) Wrong(where + "." + name, "a text is wanted");
  return value.get<std::string>();
}

// The text of an item's content: a text, or parts of types that have one.
std::string TextOf(const ordered_json& content, const std::string& where) {
  if (content.is_null()) return {};
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) Wrong(where, "a text or a list of parts is wanted");
  std::string text;
  for (size_t i = 0; i < content.size(); ++i) {
    const std::string place = fmt::format("{}[{}]", where, i);
    if (!content[i].is_object()) Wrong(place, "an object is wanted");
    const std::string type = TextField(content[i], "type", place);
    if (type != "input_text" && type != "output_text" && type != "text" &&
        type != "reasoning_text" && type != "summary_text") {
      Refuse(place, fmt::format("a part of type '{}'", type));
    }
    if (i > 0) text += '\n';
    text += TextField(content[i], "text", place);
  }
  return text;
}

// Messages as /v1/chat/completions has them. What an assistant has thought, said and called comes
// as items of their own and is one message there.
class Messages {
 public:
  void Add(const ordered_json& item, const std::string& where) {
    if (!item.is_object()) Wrong(where, "an object is wanted");
    const ordered_json& given = Field(item, "type");
    const std::string type = given.is_null() ? "message" : TextField(item, "type", where);
    if (type == "message") {
      AddMessage(item, where);
    } else if (type == "reasoning") {
      const bool is_raw = !Field(item, "content").is_null();
      const char* name = is_raw ? "content" : "summary";
      Turn("reasoning_content")["reasoning_content"] =
          TextOf(Field(item, name), where + "." + name);
    } else if (type == "function_call") {
      Turn("tool_calls")["tool_calls"].push_back(
          {{"id", TextField(item, "call_id", where)},
           {"type", "function"},
           {"function",
            {{"name", TextField(item, "name", where)},
             {"arguments", TextField(item, "arguments", where)}}}});
    } else if (type == "function_call_output") {
      list_.push_back({{"role", "tool"},
                       {"tool_call_id", TextField(item, "call_id", where)},
                       {"content", TextOf(Field(item, "output"), where + ".output")}});
    } else {
      Refuse(where, fmt::format("an item of type '{}'", type));
    }
  }

  void AddText(const char* role, const std::string& text) {
    list_.push_back({{"role", role}, {"content", text}});
  }

  ordered_json Take() { return std::move(list_); }

 private:
  void AddMessage(const ordered_json& item, const std::string& where) {
    const std::string role = TextField(item, "role", where);
    std::string text = TextOf(Field(item, "content"), where + ".content");
    if (role == "assistant") {
      Turn("content")["content"] = std::move(text);
    } else if (role == "user" || role == "system" || role == "developer") {
      AddText(role == "user" ? "user" : "system", text);
    } else {
      Wrong(where + ".role", fmt::format("'{}' is no role", role));
    }
  }

  // The assistant's turn that is going on, or a new one: a turn is thoughts, then a text, then
  // calls.
  ordered_json& Turn(std::string_view part) {
    bool goes_on = !list_.empty() && list_.back()["role"] == "assistant";
    for (const char* later : {"tool_calls", "content", "reasoning_content"}) {
      if (!goes_on || part == "tool_calls") break;
      goes_on = Field(list_.back(), later).is_null();
      if (part == later) break;
    }
    if (!goes_on) list_.push_back({{"role", "assistant"}, {"content", nullptr}});
    return list_.back();
  }

  ordered_json list_ = ordered_json::array();
};

void MoveInput(const ordered_json& root, ordered_json& chat) {
  Messages messages;
  const ordered_json& instructions = Field(root, "instructions");
  if (!instructions.is_null()) messages.AddText("system", TextOf(instructions, "instructions"));
  const ordered_json& input = Field(root, "input");
  if (input.is_null()) Wrong("input", "is missing");
  if (input.is_string()) {
    messages.AddText("user", input.get<std::string>());
  } else if (input.is_array()) {
    for (size_t i = 0; i < input.size(); ++i) messages.Add(input[i], fmt::format("input[{}]", i));
  } else {
    Wrong("input", "a text or a list of items is wanted");
  }
  chat["messages"] = messages.Take();
}

void MoveTools(const ordered_json& root, ordered_json& chat) {
  const ordered_json& tools = Field(root, "tools");
  if (!tools.is_null() && !tools.is_array()) Wrong("tools", "a list is wanted");
  for (size_t i = 0; i < tools.size(); ++i) {
    const std::string where = fmt::format("tools[{}]", i);
    if (!tools[i].is_object()) Wrong(where, "an object is wanted");
    const std::string type = TextField(tools[i], "type", where);
    if (type != "function") Refuse(where, fmt::format("a tool of type '{}'", type));
    ordered_json function = tools[i];
    function.erase("type");
    if (Field(function, "strict").is_null()) function.erase("strict");
    chat["tools"].push_back({{"type", type}, {"function", std::move(function)}});
  }
  const ordered_json& choice = Field(root, "tool_choice");
  if (choice.is_object()) {
    if (Field(choice, "type") != "function") Refuse("tool_choice", "this choice");
    const std::string name = TextField(choice, "name", "tool_choice");
    chat["tool_choice"] = {{"type", "function"}, {"function", {{"name", name}}}};
  } else if (!choice.is_null()) {
    chat["tool_choice"] = choice;
  }
}

void MoveFormat(const ordered_json& root, ordered_json& chat) {
  const ordered_json& text = Field(root, "text");
  if (text.is_null()) return;
  if (!text.is_object()) Wrong("text", "an object is wanted");
  const ordered_json& format = Field(text, "format");
  if (format.is_null()) return;
  if (!format.is_object()) Wrong("text.format", "an object is wanted");
  ordered_json& moved = chat["response_format"];
  moved["type"] = Field(format, "type");
  if (moved["type"] != "json_schema") return;
  moved["json_schema"] = format;
  moved["json_schema"].erase("type");
}

// Which log-probabilities are wanted.
void MoveLogprobs(const ordered_json& root, ordered_json& chat) {
  const ordered_json& include = Field(root, "include");
  if (!include.is_null() && !include.is_array()) Wrong("include", "a list is wanted");
  for (const ordered_json& what : include) {
    if (what == "message.output_text.logprobs") {
      chat["logprobs"] = true;
    } else if (what != "reasoning.encrypted_content") {  // thoughts are not hidden here
      Refuse("include", "what is not part of an answer in text");
    }
  }
  const ordered_json& top = Field(root, "top_logprobs");
  if (top.is_null() || top == 0) return;
  chat["logprobs"] = true;
  chat["top_logprobs"] = top;
}

void RefuseState(const ordered_json& root) {
  for (const char* name : {"previous_response_id", "conversation", "prompt"}) {
    if (!Field(root, name).is_null()) {
      Refuse(name, "what an earlier response or another service keeps (send all of the input)");
    }
  }
  if (Field(root, "background") == true) Refuse("background", "an answer to be asked for later");
  if (Field(root, "truncation") == "auto") Refuse("truncation", "leaving out parts of the input");
}

ordered_json ChatBody(const ordered_json& root) {
  RefuseState(root);
  ordered_json chat = ordered_json::object();
  // What means the same in both, the extensions of others among it.
  for (const char* name : {"model",
                           "stream",
                           "temperature",
                           "top_p",
                           "top_k",
                           "min_p",
                           "seed",
                           "stop",
                           "user",
                           "parallel_tool_calls",
                           "frequency_penalty",
                           "presence_penalty",
                           "repetition_penalty",
                           "logit_bias",
                           "ignore_eos",
                           "thinking",
                           "enable_thinking",
                           "thinking_budget",
                           "thinking_token_budget",
                           "chat_template_kwargs"}) {
    if (const ordered_json& value = Field(root, name); !value.is_null()) chat[name] = value;
  }
  const ordered_json& most = Field(root, "max_output_tokens");
  if (!most.is_null()) chat["max_completion_tokens"] = most;
  const ordered_json& reasoning = Field(root, "reasoning");
  if (!reasoning.is_null() && !reasoning.is_object()) Wrong("reasoning", "an object is wanted");
  const ordered_json& effort = reasoning.is_null() ? reasoning : Field(reasoning, "effort");
  if (!effort.is_null()) chat["reasoning_effort"] = effort;
  MoveInput(root, chat);
  MoveTools(root, chat);
  MoveFormat(root, chat);
  MoveLogprobs(root, chat);
  return chat;
}

ordered_json Echo(const ordered_json& root, const ChatRequest& request) {
  const auto or_else = [&root](const char* name, ordered_json otherwise) {
    const ordered_json& value = Field(root, name);
    return value.is_null() ? std::move(otherwise) : value;
  };
  return {{"instructions", Field(root, "instructions")},
          {"max_output_tokens", Field(root, "max_output_tokens")},
          {"metadata", or_else("metadata", ordered_json::object())},
          {"parallel_tool_calls", request.tools.several},
          {"previous_response_id", nullptr},
          {"reasoning", or_else("reasoning", {{"effort", nullptr}, {"summary", nullptr}})},
          {"store", false},
          {"temperature", request.sampling.temperature},
          {"text", or_else("text", {{"format", {{"type", "text"}}}})},
          {"tool_choice", or_else("tool_choice", "auto")},
          {"tools", or_else("tools", ordered_json::array())},
          {"top_logprobs", request.top_logprobs},
          {"top_p", request.sampling.top_p},
          {"truncation", "disabled"},
          {"user", Field(root, "user")}};
}

}  // namespace

ResponsesRequest ParseResponsesRequest(std::string_view body, const GenerationDefaults& defaults,
                                       std::optional<uint64_t> seed) {
  ParseBody(body);  // its limits and its words for what is no JSON
  const ordered_json root = ordered_json::parse(body);
  const std::string chat = JsonText(ChatBody(root));
  try {
    ResponsesRequest request{ParseChatRequest(chat, defaults, seed), {}};
    if (request.beginning) Refuse("input", "the beginning of an answer");
    request.echo = JsonText(Echo(root, request));
    return request;
  } catch (const ApiError& error) {
    throw InTermsOfResponses(error);
  }
}

ApiError InTermsOfResponses(const ApiError& error) {
  std::string param = error.param();
  // Which item a message was read from is not known any more.
  if (param.starts_with("messages")) return error.Of("input");
  for (const auto& [of_chat, of_responses] :
       {std::pair<std::string_view, std::string_view>{"response_format.json_schema", "text.format"},
        {"response_format", "text.format"},
        {"max_completion_tokens", "max_output_tokens"},
        {"max_tokens", "max_output_tokens"},
        {"reasoning_effort", "reasoning.effort"}}) {
    if (!param.starts_with(of_chat)) continue;
    param.replace(0, of_chat.size(), of_responses);
    return error.Of(param);
  }
  return error;
}

}  // namespace fathom
