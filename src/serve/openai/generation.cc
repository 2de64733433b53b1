#include "serve/openai/generation.h"

#include <ctime>
#include <nlohmann/json.hpp>

#include "serve/openai/request/api_error.h"
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
      prompt_counted_(choices / static_cast<size_t>(request.n)),
      left_(choices) {
  choices_.reserve(choices);
  for (size_t i = 0; i < choices; ++i) choices_.emplace_back(*model.tokenizer, request.stop);
}

bool Generation::OnEvent(size_t number, const EngineEvent& event) {
  Choice& choice = choices_[number];
  if (event.finish == FinishReason::kFailed) {
    Fail(ApiError(500, event.error));
    return false;
  }
  Count(number, event);
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
  Fail(queue_full ? ApiError(429, error.what(), "", "overloaded") : ApiError(400, error.what()));
}

void Generation::Count(size_t number, const EngineEvent& event) {
  const RequestUsage& usage = event.usage;
  // Of several answers to a prompt the first computes it, and the others find it in the cache.
  const size_t prompt = number / static_cast<size_t>(request_.n);
  if (usage.prompt_tokens > 0 && !prompt_counted_[prompt]) {
    prompt_counted_[prompt] = true;
    tokens_.cache_hit += usage.cached_tokens;
    tokens_.cache_miss += usage.prompt_tokens - usage.cached_tokens;
  }
  if (!event.scored) {
    ++tokens_.output;
    if (place_ != nullptr) place_->Begin();
    place_ = nullptr;
  }
  bill_->Note(tokens_);
}

ordered_json Generation::Frame(const char* object) const {
  return {{"id", id_}, {"object", object}, {"created", created_}, {"model", model_.name}};
}

ordered_json Generation::Usage() const {
  return {{"prompt_tokens", prompt_tokens_},
          {"completion_tokens", tokens_.output},
          {"total_tokens", prompt_tokens_ + tokens_.output},
          {"prompt_tokens_details", {{"cached_tokens", tokens_.cache_hit}}},
          {"completion_tokens_details", {{"reasoning_tokens", reasoning_tokens()}}},
          {"prompt_cache_hit_tokens", tokens_.cache_hit},
          {"prompt_cache_miss_tokens", tokens_.cache_miss}};
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

// The client learns that its answer is whole when that is in the ledger, and not before.
void Generation::Complete() {
  if (!request_.stream) {
    ordered_json json = Frame(WholeObject());
    json["choices"] = WholeChoices();
    json["usage"] = Usage();
    bill_->Settle(Outcome::kDone, [answer = answer_, body = JsonText(json)] {
      answer->Send({.type = "application/json", .body = body});
    });
    return;
  }
  if (request_.stream_usage) {
    ordered_json json = Frame(ChunkObject());
    json["choices"] = ordered_json::array();
    json["usage"] = Usage();
    SendJson(json);
  }
  bill_->Settle(Outcome::kDone, [answer = answer_] {
    answer->Write("data: [DONE]\n\n");
    answer->Close();
  });
}

void Generation::Fail(const ApiError& error) {
  bill_->Settle(Outcome::kFailed, nullptr);
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
