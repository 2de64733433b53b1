#include "posttrain/sft/solved_problem.h"

#include <fmt/format.h>

#include "data/tasks/problem_set.h"

namespace fathom {

std::vector<ChatMessage> SolvedConversation(const TaskProblem& problem, SolutionPart part) {
  const std::string& result = problem.response.empty() ? problem.answers.front() : problem.response;
  std::vector<ChatMessage> messages = problem.messages;
  for (size_t i = 0; i < problem.choices.size(); ++i)
    messages.back().content += fmt::format("\n{}. {}", ChoiceLetter(i), problem.choices[i]);
  ChatMessage& answer = messages.emplace_back(ChatMessage{.role = "assistant"});
  answer.content = Marked(result, AnswerMark::kBoxed);
  if (problem.solution.empty()) return messages;
  if (part == SolutionPart::kThoughts) {
    answer.reasoning = problem.solution;
  } else {
    answer.content = problem.solution + "\n" + answer.content;
  }
  return messages;
}

}  // namespace fathom
