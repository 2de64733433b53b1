#include "serve/openai/generation.h"

#include <ctime>
#include <nlohmann/json.hpp>

#include "serve/openai/api_error.h"
#include "text/utf8.h"

namespace fathom {

using nlohmann::ordered_json;

Generation::Generation(const ServedModel& model, const ApiRequest& request, std::string id,
                       size_t choices, int64_t prompt_tokens)
    : model_(model),
      request_(request),
      id_(std::move(id)),
      created_(std::time(nullptr)),
      prompt_tokens_(prompt_tokens),
      left_(choices) {
  choices_.reserve(choices);
  for (size_t i = 0; i < choices; ++i) choices_.emplace_back(*model.tokenizer, request.stop);
}

bool Generation::OnEvent(size_t number, const EngineEvent& event) {
  Choice& choice = choices_[number];
  if (event.finish == FinishReason::kFailed) {
    Fail(500, event.error, "");
    return false;
  }
  choice.usage = event.usage;
  if (request_.logprobs) choice.logprobs.push_back({event.token, event.logprob, event.top});
  std::string text;
  if (!event.scored) {
    ++choice.tokens;
    if (event.finish != FinishReason::kStop) {
      text = choice.finder.Push(choice.decoder.Push(event.token));
    } else if (request_.logprobs) {
      choice.logprobs.pop_back();  // the end token is no part of the text
    }
  }
  const bool stopped = choice.finder.found();
  if (stopped || event.finish != FinishReason::kNone) {
    if (!stopped) text += choice.finder.Push(choice.decoder.Finish()) + choice.finder.Finish();
    choice.finish = stopped || event.finish == FinishReason::kStop ? "stop" : "length";
  }
  OnText(number, text);
  if (choice.finish == nullptr) return true;
  if (--left_ == 0) Complete();
  return false;
}

void Generation::OnRefused(const Error& error, bool queue_full) {
  if (queue_full) {
    Fail(429, error.what(), "overloaded");
  } else {
    Fail(400, error.what(), "");
  }
}

ordered_json Generation::Frame(const char* object) const {
  return {{"id", id_}, {"object", object}, {"created", created_}, {"model", model_.name}};
}

ordered_json Generation::Usage() const {
  int64_t answer = 0;
  for (const Choice& choice : choices_) answer += choice.tokens;
  // Of several choices the first computes the prompt, and the others find it in the cache.
  const int64_t hit = choices_[0].usage.cached_tokens;
  return {{"prompt_tokens", prompt_tokens_},
          {"completion_tokens", answer},
          {"total_tokens", prompt_tokens_ + answer},
          {"prompt_tokens_details", {{"cached_tokens", hit}}},
          {"completion_tokens_details", {{"reasoning_tokens", reasoning_tokens()}}},
          {"prompt_cache_hit_tokens", hit},
          {"prompt_cache_miss_tokens", prompt_tokens_ - hit}};
}

void Generation::SendJson(const ordered_json& json) {
  if (!begun_) {
    begun_ = true;
    answer_->Begin({.type = "text/event-stream; charset=utf-8",
                    .headers = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}}});
  }
  answer_->Write("data: " + JsonText(json) + "\n\n");
}

void Generation::SendChunk(ordered_json choice) {
  ordered_json json = Frame(ChunkObject());
  json["choices"] = ordered_json::array({std::move(choice)});
  if (request_.stream_usage) json["usage"] = nullptr;
  SendJson(json);
}

void Generation::Complete() {
  if (!request_.stream) {
    ordered_json json = Frame(WholeObject());
    json["choices"] = WholeChoices();
    json["usage"] = Usage();
    answer_->Send({.type = "application/json", .body = JsonText(json)});
    return;
  }
  if (request_.stream_usage) {
    ordered_json json = Frame(ChunkObject());
    json["choices"] = ordered_json::array();
    json["usage"] = Usage();
    SendJson(json);
  }
  answer_->Write("data: [DONE]\n\n");
  answer_->Close();
}

void Generation::Fail(int status, const std::string& message, const std::string& code) {
  const ApiError error(status, message, "", code);
  if (!begun_) {
    answer_->Send(error.Response());
    return;
  }
  answer_->Write("data: " + error.Json() + "\n\n");
  answer_->Close();
}

ordered_json TokenJson(const Tokenizer& tokenizer, int32_t id, float logprob) {
  const std::string_view bytes = tokenizer.TokenBytes(id);
  ordered_json values = ordered_json::array();
  for (const char byte : bytes) values.push_back(static_cast<unsigned char>(byte));
  return {{"token", ReplaceInvalidUtf8(bytes)}, {"logprob", logprob}, {"bytes", std::move(values)}};
}

}  // namespace fathom
