#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "serve/accounts/accounts.h"
#include "serve/http/answer.h"
#include "serve/openai/admission.h"
#include "serve/openai/engine_service.h"
#include "serve/openai/request/api_error.h"
#include "serve/openai/request/api_request.h"
#include "text/chat/answer_reader.h"
#include "text/chat/stop_finder.h"
#include "text/stream_decoder.h"

namespace fathom {

// What all requests of a server are answered with.
struct ServedModel {
  std::string name;
  const Tokenizer* tokenizer;
  int64_t max_length;            // tokens of prompt and answer
  int64_t created;               // seconds since 1970
  std::optional<uint64_t> seed;  // of requests that give none; nothing: one is drawn for each
};

// One request under way: takes the engine's tokens, finds stop strings, and writes the answer,
// whole at the end or as server-sent events, in the form that a class below gives it.
class Generation : public EngineClient {
 public:
  // prompts: as many as the engine gets choices; several choices may have the same.
  Generation(const ServedModel& model, const ApiRequest& request, std::string id, size_t choices,
             int64_t prompt_tokens);

  const std::string& id() const { return id_; }
  int64_t prompt_tokens() const { return prompt_tokens_; }
  const std::shared_ptr<WebAnswer>& answer() const { return answer_; }
  // Who pays, and its place among those that wait; before the engine knows of it.
  void Admit(std::unique_ptr<Bill> bill, std::shared_ptr<Admission::Place> place) {
    bill_ = std::move(bill);
    place_ = std::move(place);
  }
  const Bill& bill() const { return *bill_; }
  // The end, with an error.
  void Fail(const ApiError& error);

  bool OnEvent(size_t choice, const EngineEvent& event) override;
  void OnRefused(const Error& error, bool queue_full) override;
  void OnTaken() override;
  void OnGivenUp() override;

 protected:
  struct Token {
    int32_t id;
    float logprob;
    std::vector<RankedToken> top;
    bool has_logprob = true;
  };
  struct Choice {
    Choice(const Tokenizer& tokenizer, const std::vector<std::string>& stops)
        : decoder(tokenizer), finder(stops) {}
    StreamDecoder decoder;
    StopFinder finder;
    int64_t tokens = 0;
    std::vector<Token> logprobs;  // that no part of the answer has had yet
    const char* finish = nullptr;
  };

  // More of a choice's text; may be empty. At its end, choice.finish says how. Streams what is
  // new, or keeps it.
  virtual void OnText(size_t choice, std::string_view text) = 0;
  // The answer as JSON, when it is not streamed.
  virtual std::string WholeAnswer() = 0;
  // What ends a streamed one: sent when it is in the ledger, and not before.
  virtual std::string LastEvents() = 0;
  virtual std::string FailedEvents(const ApiError& error) = 0;
  virtual int64_t reasoning_tokens() const { return 0; }
  // Whether the token that ends an answer, which is no part of its text, is among the log-probs.
  virtual bool tells_end_token() const { return false; }

  // Takes more of a choice's text apart, and what was held back at its end; a call of a tool that
  // ends the answer becomes choice.finish.
  static AnswerReader::News ReadAnswer(Choice& choice, AnswerReader& reader, std::string_view text);
  // An array, as chat completions have it.
  nlohmann::ordered_json LogprobsJson(const std::vector<Token>& tokens) const;

  // What an event says of tokens and cost.
  void Count(size_t choice, const EngineEvent& event);
  // Adds "cost", in dollars, to the answer's usage, where prices are configured.
  void AddCost(nlohmann::ordered_json& usage) const;
  // The end of one of the choices; the last one's ends the answer.
  void EndChoice();

  // Of a streamed answer.
  void SendEvents(std::string_view events);
  int64_t created() const { return created_; }  // seconds since 1970
  const TokenCounts& tokens() const { return tokens_; }

  const ServedModel& model_;
  const ApiRequest request_;
  std::vector<Choice> choices_;

 private:
  void Complete();

  const std::string id_;
  const int64_t created_, prompt_tokens_;
  const std::shared_ptr<WebAnswer> answer_ = std::make_shared<WebAnswer>();
  std::unique_ptr<Bill> bill_;
  std::shared_ptr<Admission::Place> place_;  // null from the first token on
  TokenCounts tokens_;                       // so far
  std::vector<bool> prompt_counted_;         // of each prompt, whether it is in these
  size_t left_;
  bool begun_ = false;
};

}  // namespace fathom
