#include "serve/openai/generation.h"

#include <algorithm>
#include <ctime>
#include <iterator>
#include <nlohmann/json.hpp>

#include "serve/openai/request/api_error.h"
#include "text/utf8.h"

namespace fathom {

namespace {

using nlohmann::ordered_json;

// The text of a token for logprobs: ill-formed UTF-8 replaced. "bytes" has what it is.
ordered_json TokenJson(const Tokenizer& tokenizer, int32_t id, float logprob) {
  const std::string_view bytes = tokenizer.TokenBytes(id);
  ordered_json values = ordered_json::array();
  for (const char byte : bytes) values.push_back(static_cast<unsigned char>(byte));
  return {{"token", ReplaceInvalidUtf8(bytes)}, {"logprob", logprob}, {"bytes", std::move(values)}};
}

}  // namespace

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
    } else if (request_.logprobs && !tells_end_token()) {
      choice.logprobs.pop_back();
    }
  }
  const bool stopped = choice.finder.found();
  if (stopped || event.finish != FinishReason::kNone) {
    if (!stopped) text += choice.finder.Push(choice.decoder.Finish()) + choice.finder.Finish();
    choice.finish = stopped || event.finish == FinishReason::kStop ? "stop" : "length";
  }
  OnText(number, text);
  if (choice.finish == nullptr) return true;
  EndChoice();
  return false;
}

void Generation::EndChoice() {
  if (--left_ == 0) Complete();
}

void Generation::OnRefused(const Error& error, bool queue_full) {
  Fail(queue_full ? ApiError(AccessError(AccessError::Reason::kOverloaded, error.what(), 1))
                  : ApiError(400, error.what()));
}

// From here on a streamed answer has its comments while nothing else comes.
void Generation::OnTaken() {
  if (request_.stream) SendEvents({});
}

void Generation::OnGivenUp() {
  Fail(ApiError(503, "the server is shutting down, and this answer took too long for it"));
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

void Generation::AddCost(ordered_json& usage) const {
  // Whole millionths, so that the shortest number that reads back as this one has six decimals.
  if (const auto cost = bill_->CostOf(tokens_)) usage["cost"] = static_cast<double>(*cost) / 1e6;
}

void Generation::SendEvents(std::string_view events) {
  if (!begun_) {
    begun_ = true;
    answer_->Begin({.type = "text/event-stream; charset=utf-8",
                    .headers = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}}});
  }
  answer_->Write(events);
}

// The client learns that its answer is whole when that is in the ledger, and not before.
void Generation::Complete() {
  if (!request_.stream) {
    bill_->Settle(Outcome::kDone, [answer = answer_, body = WholeAnswer()] {
      answer->Send({.type = "application/json", .body = body});
    });
    return;
  }
  bill_->Settle(Outcome::kDone, [answer = answer_, events = LastEvents()] {
    answer->Write(events);
    answer->Close();
  });
}

void Generation::Fail(const ApiError& error) {
  bill_->Settle(Outcome::kFailed, nullptr);
  if (!begun_) {
    answer_->Send(error.Response());
    return;
  }
  answer_->Write(FailedEvents(error));
  answer_->Close();
}

AnswerReader::News Generation::ReadAnswer(Choice& choice, AnswerReader& reader,
                                          std::string_view text) {
  AnswerReader::News news = reader.Push(text);
  if (choice.finish != nullptr) {
    AnswerReader::News rest = reader.Finish();
    news.reasoning += rest.reasoning;
    news.content += rest.content;
    std::ranges::move(rest.calls, std::back_inserter(news.calls));
  }
  const bool stopped = choice.finish != nullptr && std::string_view(choice.finish) == "stop";
  if (reader.has_enough() || (stopped && reader.calls() > 0)) choice.finish = "tool_calls";
  return news;
}

ordered_json Generation::LogprobsJson(const std::vector<Token>& tokens) const {
  ordered_json list = ordered_json::array();
  for (const Token& token : tokens) {
    ordered_json json = TokenJson(*model_.tokenizer, token.id, token.logprob);
    json["top_logprobs"] = ordered_json::array();
    for (const RankedToken& ranked : token.top) {
      json["top_logprobs"].push_back(TokenJson(*model_.tokenizer, ranked.token, ranked.logprob));
    }
    list.push_back(std::move(json));
  }
  return list;
}

}  // namespace fathom
