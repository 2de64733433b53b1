#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat/chat_message.h"

namespace fathom {

// How an answer is judged.
enum class AnswerKind : uint8_t {
  kMath,        // "math": equal as mathematics
  kText,        // "text": equal as text, case and white space aside
  kChoice,      // "choice": the letter of one of the choices
  kExpression,  // "expression": arithmetic that uses the problem's numbers and has the answer's
                // value
  kExternal,    // "external": by a command of the user's
};
std::string_view Name(AnswerKind kind);
// Nothing for an unknown name.
std::optional<AnswerKind> AnswerKindByName(std::string_view name);

// A problem whose answer can be verified.
struct TaskProblem {
  std::string id;                     // unique in its file
  std::vector<ChatMessage> messages;  // what the model is asked; the last one is not its own
  AnswerKind kind = AnswerKind::kMath;
  // Any of them counts; a letter for kChoice, the value for kExpression. Empty for kExternal where
  // the row has none.
  std::vector<std::string> answers;
  std::vector<std::string> choices;  // kChoice: the texts of A, B, ...
  std::vector<int64_t> numbers;      // kExpression: each is to be used exactly once
  std::string solution;              // worked out, where the file has it
  std::string response;              // what a solver would say, where that is not the answer
  std::string row;                   // the line, as JSON

  // The text of the last message.
  const std::string& question() const { return messages.back().content; }
};

// 'A' + index.
std::string ChoiceLetter(size_t index);

}  // namespace fathom
