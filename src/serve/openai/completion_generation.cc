#include "serve/openai/completion_generation.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "text/utf8.h"

namespace fathom {
namespace {

using nlohmann::ordered_json;

int64_t Total(const std::vector<std::vector<int32_t>>& prompts) {
  int64_t total = 0;
  for (const auto& prompt : prompts) total += std::ssize(prompt);
  return total;
}

int64_t Characters(std::string_view text) {
  int64_t count = 0;
  for (const char byte : text) count += (static_cast<unsigned char>(byte) & 0xC0) != 0x80 ? 1 : 0;
  return count;
}

}  // namespace

CompletionGeneration::CompletionGeneration(const ServedModel& model,
                                           const CompletionRequest& request,
                                           const std::string& request_id,
                                           const std::vector<std::vector<int32_t>>& prompts)
    : ChoiceGeneration(model, request, "cmpl-" + request_id,
                       prompts.size() * static_cast<size_t>(request.n), Total(prompts)),
      texts_(choices_.size()) {
  if (!request.echo) return;
  for (size_t i = 0; i < choices_.size(); ++i) {
    const std::vector<int32_t>& prompt = prompts[i / static_cast<size_t>(request.n)];
    texts_[i].echo = ReplaceInvalidUtf8(model.tokenizer->Decode(prompt, true));
    // Nothing comes before the first token that it could have a probability of.
    if (request.logprobs) choices_[i].logprobs.push_back({prompt[0], 0, {}, false});
  }
}

void CompletionGeneration::OnText(size_t number, std::string_view piece) {
  Text& text = texts_[number];
  const bool scoring = choices_[number].tokens == 0 && choices_[number].finish == nullptr;
  if (scoring) return;
  std::string whole = std::exchange(text.echo, {});
  whole += piece;
  if (!request_.stream) {
    text.whole += whole;
  } else if (!whole.empty() || choices_[number].finish != nullptr) {
    SendChunk(ChoiceJson(number, std::move(whole)));
  }
}

ordered_json CompletionGeneration::WholeChoices() {
  ordered_json choices = ordered_json::array();
  for (size_t i = 0; i < choices_.size(); ++i) {
    choices.push_back(ChoiceJson(i, std::move(texts_[i].whole)));
  }
  return choices;
}

ordered_json CompletionGeneration::ChoiceJson(size_t number, std::string text) {
  Choice& choice = choices_[number];
  ordered_json json = {{"index", number}, {"text", std::move(text)}, {"logprobs", nullptr}};
  if (request_.logprobs) {
    json["logprobs"] = LogprobsJson(std::exchange(choice.logprobs, {}), texts_[number].offset);
  }
  json["finish_reason"] =
      choice.finish != nullptr ? ordered_json(choice.finish) : ordered_json(nullptr);
  return json;
}

ordered_json CompletionGeneration::LogprobsJson(const std::vector<Token>& tokens,
                                                int64_t& offset) const {
  ordered_json texts = ordered_json::array(), logprobs = texts, top = texts, offsets = texts;
  const auto text_of = [&](int32_t id) {
    return ReplaceInvalidUtf8(model_.tokenizer->TokenBytes(id));
  };
  for (const Token& token : tokens) {
    const std::string text = text_of(token.id);
    offsets.push_back(offset);
    offset += Characters(text);
    texts.push_back(text);
    logprobs.push_back(token.has_logprob ? ordered_json(token.logprob) : ordered_json(nullptr));
    ordered_json ranked = ordered_json::object();
    for (const RankedToken& other : token.top) ranked[text_of(other.token)] = other.logprob;
    top.push_back(token.has_logprob ? std::move(ranked) : ordered_json(nullptr));
  }
  return {{"tokens", std::move(texts)},
          {"token_logprobs", std::move(logprobs)},
          {"top_logprobs", std::move(top)},
          {"text_offset", std::move(offsets)}};
}

}  // namespace fathom
