#include "serve/openai/chat_generation.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "serve/http/request_id.h"

namespace fathom {

using nlohmann::ordered_json;

ChatGeneration::ChatGeneration(const ServedModel& model, const ChatRequest& request,
                               const std::string& request_id, int64_t prompt_tokens,
                               bool inside_thinking, ToolCallForm form)
    : ChoiceGeneration(model, request, "chatcmpl-" + request_id, static_cast<size_t>(request.n),
                       prompt_tokens),
      messages_(static_cast<size_t>(request.n),
                Message(AnswerReader(inside_thinking, form, request.tools.several))) {}

void ChatGeneration::OnText(size_t number, std::string_view text) {
  Choice& choice = choices_[number];
  Message& message = messages_[number];
  if (message.reader.thinking()) ++reasoning_tokens_;
  AnswerReader::News news = ReadAnswer(choice, message.reader, text);
  ordered_json calls = ordered_json::array();
  for (ToolCall& call : news.calls) {
    ordered_json json = {{"id", "call_" + NewRequestId()},
                         {"type", "function"},
                         {"function", {{"name", call.name}, {"arguments", call.arguments}}}};
    message.calls.push_back(json);
    json["index"] = message.calls.size() - 1;
    calls.push_back(std::move(json));
  }
  if (!request_.stream) {
    message.reasoning += news.reasoning;
    message.content += news.content;
    return;
  }
  ordered_json part = ordered_json::object();
  if (!std::exchange(message.begun, true)) part["role"] = "assistant";
  if (!news.reasoning.empty()) part["reasoning_content"] = std::move(news.reasoning);
  if (!news.content.empty()) part["content"] = std::move(news.content);
  if (!calls.empty()) part["tool_calls"] = std::move(calls);
  if (part.empty() && choice.finish == nullptr) return;
  ordered_json json = {{"index", number}, {"delta", std::move(part)}};
  if (request_.logprobs) {
    json["logprobs"] = {{"content", LogprobsJson(std::exchange(choice.logprobs, {}))}};
  }
  json["finish_reason"] =
      choice.finish != nullptr ? ordered_json(choice.finish) : ordered_json(nullptr);
  SendChunk(std::move(json));
}

ordered_json ChatGeneration::WholeChoices() {
  ordered_json choices = ordered_json::array();
  for (size_t i = 0; i < choices_.size(); ++i) {
    Message& message = messages_[i];
    ordered_json json = {{"role", "assistant"}, {"content", std::move(message.content)}};
    if (!message.reasoning.empty()) json["reasoning_content"] = std::move(message.reasoning);
    if (!message.calls.empty()) {
      if (json["content"].get_ref<const std::string&>().empty()) json["content"] = nullptr;
      json["tool_calls"] = std::move(message.calls);
    }
    ordered_json logprobs = nullptr;
    if (request_.logprobs) logprobs = {{"content", LogprobsJson(choices_[i].logprobs)}};
    choices.push_back({{"index", i},
                       {"message", std::move(json)},
                       {"logprobs", std::move(logprobs)},
                       {"finish_reason", choices_[i].finish}});
  }
  return choices;
}

}  // namespace fathom
