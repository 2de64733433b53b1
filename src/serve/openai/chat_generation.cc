#include "serve/openai/chat_generation.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "serve/openai/request_id.h"

namespace fathom {

using nlohmann::ordered_json;

ChatGeneration::ChatGeneration(const ServedModel& model, const ChatRequest& request,
                               int64_t prompt_tokens, bool inside_thinking)
    : Generation(model, request, RequestId("chatcmpl-"), static_cast<size_t>(request.n),
                 prompt_tokens),
      messages_(static_cast<size_t>(request.n), Message(inside_thinking)) {}

void ChatGeneration::OnText(size_t number, std::string_view text) {
  Choice& choice = choices_[number];
  Message& message = messages_[number];
  if (message.parts.thinking()) ++reasoning_tokens_;
  ReasoningParts::Delta delta = message.parts.Push(text);
  if (choice.finish != nullptr) {
    const ReasoningParts::Delta rest = message.parts.Finish();
    delta.reasoning += rest.reasoning;
    delta.content += rest.content;
  }
  if (!request_.stream) {
    message.whole.reasoning += delta.reasoning;
    message.whole.content += delta.content;
    return;
  }
  ordered_json part = ordered_json::object();
  if (!std::exchange(message.begun, true)) part["role"] = "assistant";
  if (!delta.reasoning.empty()) part["reasoning_content"] = std::move(delta.reasoning);
  if (!delta.content.empty()) part["content"] = std::move(delta.content);
  if (part.empty() && choice.finish == nullptr) return;
  ordered_json json = {{"index", number}, {"delta", std::move(part)}};
  if (request_.logprobs) json["logprobs"] = LogprobsJson(std::exchange(choice.logprobs, {}));
  json["finish_reason"] =
      choice.finish != nullptr ? ordered_json(choice.finish) : ordered_json(nullptr);
  SendChunk(std::move(json));
}

ordered_json ChatGeneration::WholeChoices() {
  ordered_json choices = ordered_json::array();
  for (size_t i = 0; i < choices_.size(); ++i) {
    Message& message = messages_[i];
    ordered_json json = {{"role", "assistant"}, {"content", std::move(message.whole.content)}};
    if (!message.whole.reasoning.empty()) {
      json["reasoning_content"] = std::move(message.whole.reasoning);
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
