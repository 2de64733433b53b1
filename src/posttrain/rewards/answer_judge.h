#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/tasks/task_problem.h"
#include "posttrain/answers/answer_extraction.h"
#include "posttrain/answers/answer_match.h"
#include "posttrain/rewards/completion.h"

namespace fathom {

struct JudgeOptions {
  // Where answers are looked for, in order of preference.
  std::vector<AnswerRule> rules = {AnswerRule::kBoxed,    AnswerRule::kTags,   AnswerRule::kHash,
                                   AnswerRule::kSentence, AnswerRule::kNumber, AnswerRule::kLine};
  AnswerMatchOptions match;
};

// Whether an answer, already found in what a model wrote, is right. kExternal: never, here.
bool IsRightAnswer(const TaskProblem& problem, std::string_view answer,
                   const AnswerMatchOptions& options = {});

// Throws Error with `advice` when the problem is judged by a command (kExternal). For who has none.
void RequireOwnJudge(const TaskProblem& problem, const std::string& advice);

struct Judgement {
  std::optional<std::string> answer;  // as found; nothing: there is none
  bool right = false;
};

// Looks for the answer in what stands behind the thoughts, and judges it.
Judgement JudgeCompletion(const TaskProblem& problem, const Completion& completion,
                          const JudgeOptions& options);

}  // namespace fathom
