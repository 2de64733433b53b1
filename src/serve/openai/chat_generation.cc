#include "serve/openai/chat_generation.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "serve/http/request_id.h"

namespace fathom {

using nlohmann::ordered_json;

ChatGeneration::ChatGeneration(const ServedModel& model, const ChatRequest& request,
                               const std::string& request_id, int64_t prompt_tokens,
                               bool inside_thinking, ToolCallForm form)
    : Generation(model, request, "chatcmpl-" + request_id, static_cast<size_t>(request.n),
                 prompt_tokens),
      several_calls_(request.tools.several),
      messages_(static_cast<size_t>(request.n), Message(inside_thinking)) {
  if (request.tools.choice == ToolRequest::Choice::kNone) return;
  for (Message& message : messages_) message.parser.emplace(form);
}

ChatGeneration::News ChatGeneration::Take(Choice& choice, Message& message,
                                          std::string_view text) const {
  News news{.text = message.parts.Push(text), .first_call = message.calls.size()};
  if (choice.finish != nullptr) {
    const ReasoningParts::Delta rest = message.parts.Finish();
    news.text.reasoning += rest.reasoning;
    news.text.content += rest.content;
  }
  if (!message.parser) return news;
  ToolCallParser::Delta parsed = message.parser->Push(news.text.content);
  if (choice.finish != nullptr) {
    ToolCallParser::Delta rest = message.parser->Finish();
    parsed.text += rest.text;
    for (ToolCall& call : rest.calls) parsed.calls.push_back(std::move(call));
  }
  news.text.content = std::move(parsed.text);
  for (ToolCall& call : parsed.calls) {
    if (!several_calls_ && !message.calls.empty()) break;
    call.id = "call_" + NewRequestId();
    message.calls.push_back(std::move(call));
  }
  const bool enough = !several_calls_ && !message.calls.empty();
  const bool stopped = choice.finish != nullptr && std::string_view(choice.finish) == "stop";
  if (enough || (stopped && !message.calls.empty())) choice.finish = "tool_calls";
  return news;
}

void ChatGeneration::OnText(size_t number, std::string_view text) {
  Choice& choice = choices_[number];
  Message& message = messages_[number];
  if (message.parts.thinking()) ++reasoning_tokens_;
  News news = Take(choice, message, text);
  if (!request_.stream) {
    message.whole.reasoning += news.text.reasoning;
    message.whole.content += news.text.content;
    return;
  }
  ordered_json part = ordered_json::object();
  if (!std::exchange(message.begun, true)) part["role"] = "assistant";
  if (!news.text.reasoning.empty()) part["reasoning_content"] = std::move(news.text.reasoning);
  if (!news.text.content.empty()) part["content"] = std::move(news.text.content);
  for (size_t i = news.first_call; i < message.calls.size(); ++i) {
    ordered_json call = {{"index", i}};
    call.update(CallJson(message.calls[i]));
    part["tool_calls"].push_back(std::move(call));
  }
  if (part.empty() && choice.finish == nullptr) return;
  ordered_json json = {{"index", number}, {"delta", std::move(part)}};
  if (request_.logprobs) json["logprobs"] = LogprobsJson(std::exchange(choice.logprobs, {}));
  json["finish_reason"] =
      choice.finish != nullptr ? ordered_json(choice.finish) : ordered_json(nullptr);
  SendChunk(std::move(json));
}

ordered_json ChatGeneration::CallJson(const ToolCall& call) {
  return {{"id", call.id},
          {"type", "function"},
          {"function", {{"name", call.name}, {"arguments", call.arguments}}}};
}

ordered_json ChatGeneration::WholeChoices() {
  ordered_json choices = ordered_json::array();
  for (size_t i = 0; i < choices_.size(); ++i) {
    Message& message = messages_[i];
    ordered_json json = {{"role", "assistant"}, {"content", std::move(message.whole.content)}};
    if (!message.whole.reasoning.empty()) {
      json["reasoning_content"] = std::move(message.whole.reasoning);
    }
    if (!message.calls.empty()) {
      if (json["content"].get_ref<const std::string&>().empty()) json["content"] = nullptr;
      for (const ToolCall& call : message.calls) json["tool_calls"].push_back(CallJson(call));
    }
    choices.push_back({{"index", i},
                       {"message", std::move(json)},
                       {"logprobs", request_.logprobs ? LogprobsJson(choices_[i].logprobs)
                                                      : ordered_json(nullptr)},
                       {"finish_reason", choices_[i].finish}});
  }
  return choices;
}

ordered_json ChatGeneration::LogprobsJson(const std::vector<Token>& tokens) const {
  ordered_json content = ordered_json::array();
  for (const Token& token : tokens) {
    ordered_json json = TokenJson(*model_.tokenizer, token.id, token.logprob);
    json["top_logprobs"] = ordered_json::array();
    for (const RankedToken& ranked : token.top) {
      json["top_logprobs"].push_back(TokenJson(*model_.tokenizer, ranked.token, ranked.logprob));
    }
    content.push_back(std::move(json));
  }
  return {{"content", std::move(content)}};
}

}  // namespace fathom
