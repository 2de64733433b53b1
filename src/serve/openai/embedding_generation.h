#pragma once

#include <string>
#include <vector>

#include "serve/openai/generation.h"

namespace fathom {

// The answer to POST /v1/embeddings: of each text the hidden state of its last token, what the
// model's head reads, scaled to length 1.
class EmbeddingGeneration : public Generation {
 public:
  EmbeddingGeneration(const ServedModel& model, const EmbeddingRequest& request,
                      const std::string& request_id, int64_t prompt_tokens);

  bool OnEvent(size_t text, const EngineEvent& event) override;

 private:
  void OnText(size_t, std::string_view) override {}  // there is none
  std::string WholeAnswer() override;
  std::string LastEvents() override { return {}; }
  std::string FailedEvents(const ApiError&) override { return {}; }

  const bool base64_;
  std::vector<std::vector<float>> embeddings_;
};

// Little-endian f32 in base64, as OpenAI's clients ask for it.
std::string Base64(const std::vector<float>& values);

}  // namespace fathom
