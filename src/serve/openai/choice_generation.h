#pragma once

#include <string>

#include "serve/openai/generation.h"

namespace fathom {

// An answer that is a list of choices, whole or as chunks of them, as /v1/chat/completions and
// /v1/completions give it.
class ChoiceGeneration : public Generation {
 protected:
  using Generation::Generation;

  // The answer's choices, when it is not streamed.
  virtual nlohmann::ordered_json WholeChoices() = 0;
  virtual const char* WholeObject() const = 0;  // "chat.completion"
  virtual const char* ChunkObject() const = 0;

  // Sends a part of a streamed answer.
  void SendChunk(nlohmann::ordered_json choice);

 private:
  std::string WholeAnswer() override;
  std::string LastEvents() override;
  std::string FailedEvents(const ApiError& error) override;

  nlohmann::ordered_json Frame(const char* object) const;
  nlohmann::ordered_json Usage() const;
};

}  // namespace fathom
