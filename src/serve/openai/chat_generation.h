#pragma once

#include "serve/openai/generation.h"
#include "serve/openai/reasoning_parts.h"

namespace fathom {

// The answer to POST /v1/chat/completions.
class ChatGeneration : public Generation {
 public:
  // inside_thinking: the prompt has opened the thoughts.
  ChatGeneration(const ServedModel& model, const ChatRequest& request, int64_t prompt_tokens,
                 bool inside_thinking);

 private:
  struct Message {
    explicit Message(bool inside_thinking) : parts(inside_thinking) {}
    ReasoningParts parts;
    ReasoningParts::Delta whole;  // unless it is streamed
    bool begun = false;
  };

  void OnText(size_t choice, std::string_view text) override;
  nlohmann::ordered_json WholeChoices() override;
  const char* WholeObject() const override { return "chat.completion"; }
  const char* ChunkObject() const override { return "chat.completion.chunk"; }
  int64_t reasoning_tokens() const override { return reasoning_tokens_; }

  nlohmann::ordered_json LogprobsJson(const std::vector<Token>& tokens) const;

  std::vector<Message> messages_;
  int64_t reasoning_tokens_ = 0;
};

}  // namespace fathom
