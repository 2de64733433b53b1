#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "serve/openai/generation.h"
#include "serve/openai/request/responses_request.h"
#include "text/chat/answer_reader.h"

namespace fathom {

// The answer to POST /v1/responses: a list of items (thoughts, a message, calls of functions), one
// after the other, whole or as typed events.
class ResponsesGeneration : public Generation {
 public:
  ResponsesGeneration(const ServedModel& model, const ResponsesRequest& request,
                      const std::string& request_id, int64_t prompt_tokens, bool inside_thinking,
                      ToolCallForm form);

 private:
  using Json = nlohmann::ordered_json;

  void OnText(size_t choice, std::string_view text) override;
  std::string WholeAnswer() override;
  std::string LastEvents() override;
  std::string FailedEvents(const ApiError& error) override;
  int64_t reasoning_tokens() const override { return reasoning_tokens_; }

  // More of the item of this type ("reasoning", "message") that is being written; another type ends
  // the one before.
  void Write(const char* type, std::string text);
  void Begin(const char* type);
  void End();
  void Call(const ToolCall& call);
  // The item that is being written.
  bool is_open() const { return is_open_; }
  Json& item() { return output_.back(); }
  bool is_message() const { return output_.back()["type"] == "message"; }

  // The response as it stands.
  Json Response(const char* status) const;
  const char* Status() const;
  std::string Event(const char* type, Json fields);
  void Send(const char* type, Json fields);
  // Of the item that is being written: where it is.
  Json Place() const;

  const std::string request_id_;
  const Json echo_;  // of the request
  AnswerReader reader_;
  Json output_ = Json::array();
  bool is_open_ = false;
  int64_t reasoning_tokens_ = 0, sequence_number_ = 0;
};

}  // namespace fathom
