#include "posttrain/rewards/answer_judge.h"

#include <algorithm>

#include "base/error.h"

namespace fathom {
namespace {

bool Matches(const TaskProblem& problem, std::string_view right, std::string_view answer,
             const AnswerMatchOptions& options) {
  switch (problem.kind) {
    case AnswerKind::kMath:
      return MathAnswersMatch(right, answer, options);
    case AnswerKind::kText:
      return TextAnswersMatch(right, answer);
    case AnswerKind::kChoice: {
      // A letter, or the words of the choice.
      const auto index = static_cast<size_t>(right[0] - 'A');
      return ChoiceAnswersMatch(right, answer) ||
             (index < problem.choices.size() && TextAnswersMatch(problem.choices[index], answer));
    }
    case AnswerKind::kExpression:
      return ExpressionAnswerMatches(right, problem.numbers, answer);
    case AnswerKind::kExternal:
      break;
  }
  return false;
}

}  // namespace

bool IsRightAnswer(const TaskProblem& problem, std::string_view answer,
                   const AnswerMatchOptions& options) {
  return std::any_of(problem.answers.begin(), problem.answers.end(), [&](const std::string& right) {
    return Matches(problem, right, answer, options);
  });
}

void RequireOwnJudge(const TaskProblem& problem, const std::string& advice) {
  if (problem.kind != AnswerKind::kExternal) return;
  throw Error(fmt::format("problem {}", problem.id), "is judged by a command, and there is none",
              advice);
}

Judgement JudgeCompletion(const TaskProblem& problem, const Completion& completion,
                          const JudgeOptions& options) {
  Judgement judgement;
  judgement.answer = ExtractAnswer(SplitCompletion(completion).answer, options.rules);
  judgement.right = judgement.answer && IsRightAnswer(problem, *judgement.answer, options.match);
  return judgement;
}

}  // namespace fathom
