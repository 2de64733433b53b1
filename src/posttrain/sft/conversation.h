#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "text/chat/chat_template.h"
#include "text/tokenizer.h"

namespace fathom {

// Tokens to train on, of which some are to be predicted.
struct LabelledTokens {
  std::vector<int32_t> ids;
  std::vector<bool> targets;  // as many

  void Append(const std::vector<int32_t>& more, bool target);
  int64_t TargetCount() const;
};

// Which answers of a conversation are learnt.
enum class LearntTurns { kAll, kLast };

// Turns conversations into what a model sees of them and what it is to write.
//
// An answer is learnt as the model would have to write it: after the very tokens of the prompt that
// the chat template makes of the messages before it, its thoughts (reasoning_content) within
// <think> and </think> where it has any, its content, and the token that ends an answer. Turns
// stay in one sequence as long as the next prompt goes on from it; where it does not (R1's template
// leaves earlier thoughts out of the history), another sequence begins, so that no answer is learnt
// after a prompt that the model never sees.
class ConversationEncoder {
 public:
  // Both have to outlive it. Throws Error when the template has no token that ends an answer.
  ConversationEncoder(const ChatTemplate& chat, const Tokenizer& tokenizer, LearntTurns turns);

  // conversation: {"messages": [...], "tools": [...]} as OpenAI's API has them, messages with
  // reasoning_content. An assistant's message with "weight": 0 is read and not learnt. Sequences
  // without anything to learn are left out. Throws Error with the path of what is wrong, such as an
  // answer to learn that is empty, or no answer at all. Safe to be called from several threads at
  // once.
  std::vector<LabelledTokens> Encode(const JsonValue& conversation) const;
  // The same of messages as templates see them; where: their path, for errors.
  std::vector<LabelledTokens> Encode(const jinja::Data& messages, const ChatOptions& options,
                                     std::string_view where) const;

  // A hash of what decides the tokens, next to the tokenizer's own.
  uint64_t fingerprint() const;

 private:
  jinja::Text Answer(const jinja::Data& messages, size_t turn, const jinja::Text& prompt,
                     const ChatOptions& options, std::string_view where) const;

  const ChatTemplate& chat_;
  const Tokenizer& tokenizer_;
  LearntTurns turns_;
  std::vector<int32_t> stops_;
  int32_t end_ = -1;  // of an answer
};

}  // namespace fathom
