#pragma once

#include "serve/openai/choice_generation.h"

namespace fathom {

// The answer to POST /v1/completions.
class CompletionGeneration : public ChoiceGeneration {
 public:
  // prompts: the ids of each prompt; choices are n of the first, then n of the second, and so on.
  CompletionGeneration(const ServedModel& model, const CompletionRequest& request,
                       const std::string& request_id,
                       const std::vector<std::vector<int32_t>>& prompts);

 private:
  struct Text {
    std::string echo;    // that has not been sent yet
    std::string whole;   // unless it is streamed
    int64_t offset = 0;  // in characters, of the next token in logprobs
  };

  void OnText(size_t choice, std::string_view text) override;
  nlohmann::ordered_json WholeChoices() override;
  const char* WholeObject() const override { return "text_completion"; }
  const char* ChunkObject() const override { return "text_completion"; }
  // As vLLM does: programs that score texts by `echo` count on one more than there are.
  bool tells_end_token() const override { return true; }

  nlohmann::ordered_json ChoiceJson(size_t choice, std::string text);
  nlohmann::ordered_json LogprobsJson(const std::vector<Token>& tokens, int64_t& offset) const;

  std::vector<Text> texts_;
};

}  // namespace fathom
