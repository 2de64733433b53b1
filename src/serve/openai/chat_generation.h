#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serve/openai/choice_generation.h"
#include "text/chat/answer_reader.h"

namespace fathom {

// The answer to POST /v1/chat/completions.
class ChatGeneration : public ChoiceGeneration {
 public:
  // inside_thinking: the prompt has opened the thoughts. form: how the model calls tools; kNone
  // where it may not.
  ChatGeneration(const ServedModel& model, const ChatRequest& request,
                 const std::string& request_id, int64_t prompt_tokens, bool inside_thinking,
                 ToolCallForm form);

 private:
  struct Message {
    explicit Message(AnswerReader answer) : reader(std::move(answer)) {}
    AnswerReader reader;
    std::string reasoning, content;  // unless it is streamed
    nlohmann::ordered_json calls;    // all so far, as the API has them
    bool begun = false;
  };

  void OnText(size_t choice, std::string_view text) override;
  nlohmann::ordered_json WholeChoices() override;
  const char* WholeObject() const override { return "chat.completion"; }
  const char* ChunkObject() const override { return "chat.completion.chunk"; }
  int64_t reasoning_tokens() const override { return reasoning_tokens_; }

  std::vector<Message> messages_;
  int64_t reasoning_tokens_ = 0;
};

}  // namespace fathom
