#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "serve/openai/generation.h"
#include "text/chat/reasoning_parts.h"
#include "text/chat/tool_call_parser.h"

namespace fathom {

// The answer to POST /v1/chat/completions.
class ChatGeneration : public Generation {
 public:
  // inside_thinking: the prompt has opened the thoughts. form: how the model calls tools, where the
  // request has some.
  ChatGeneration(const ServedModel& model, const ChatRequest& request,
                 const std::string& request_id, int64_t prompt_tokens, bool inside_thinking,
                 ToolCallForm form);

 private:
  struct Message {
    explicit Message(bool inside_thinking) : parts(inside_thinking) {}
    ReasoningParts parts;
    std::optional<ToolCallParser> parser;
    ReasoningParts::Delta whole;  // unless it is streamed
    std::vector<ToolCall> calls;  // all so far
    bool begun = false;
  };
  // What is new in a message.
  struct News {
    ReasoningParts::Delta text;
    size_t first_call;  // of the message's calls
  };

  void OnText(size_t choice, std::string_view text) override;
  nlohmann::ordered_json WholeChoices() override;
  const char* WholeObject() const override { return "chat.completion"; }
  const char* ChunkObject() const override { return "chat.completion.chunk"; }
  int64_t reasoning_tokens() const override { return reasoning_tokens_; }

  // Takes more text of a choice; at its end, what was held back too.
  News Take(Choice& choice, Message& message, std::string_view text) const;
  static nlohmann::ordered_json CallJson(const ToolCall& call);
  nlohmann::ordered_json LogprobsJson(const std::vector<Token>& tokens) const;

  const bool several_calls_;
  std::vector<Message> messages_;
  int64_t reasoning_tokens_ = 0;
};

}  // namespace fathom
