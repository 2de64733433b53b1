#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "text/jinja/text.h"
#include "text/tokenizer.h"

namespace fathom {

// The ids of a conversation that grows. What the model has written stays the ids that it wrote:
// encoding its text again may give others, and the model (and its cache) would see another
// conversation than the one that there was.
class ChatTranscript {
 public:
  // The tokenizer has to outlive it.
  explicit ChatTranscript(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  // The ids of a prompt (EncodePrompt), of which as much as possible as they were before: the
  // longest earlier prompt or answer that it goes on from, byte for byte and by the same hands.
  std::vector<int32_t> Encode(const jinja::Text& prompt);
  // The model has gone on from the last prompt with these ids (the stop token left out), which are
  // this text.
  void Append(std::span<const int32_t> ids, std::string_view text);

 private:
  struct State {
    jinja::Text text;
    std::vector<int32_t> ids;
  };

  const Tokenizer& tokenizer_;
  std::vector<State> states_;  // each goes on from the one before
};

}  // namespace fathom
