#pragma once

#include <cstdint>
#include <vector>

#include "data/tasks/task_problem.h"
#include "text/chat/chat_message.h"

namespace fathom {

// Where a problem's solution stands in the answer that is learnt.
enum class SolutionPart : uint8_t {
  kThoughts,  // the answer thinks it, and says the result
  kContent,   // the answer says both
};

// The conversation in which a problem is asked and answered, the result in \boxed{}. The problem
// has an answer.
std::vector<ChatMessage> SolvedConversation(const TaskProblem& problem, SolutionPart part);

}  // namespace fathom
