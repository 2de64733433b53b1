#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/function_ref.h"
#include "infer/engine.h"
#include "infer/loaded_model.h"
#include "posttrain/evaluation/evaluation_report.h"
#include "posttrain/evaluation/prompt.h"
#include "posttrain/evaluation/sample.h"
#include "posttrain/evaluation/sample_runner.h"
#include "posttrain/rewards/answer_judge.h"
#include "posttrain/rewards/reward.h"

namespace fathom {

enum class EvaluationMethod : uint8_t {
  kGenerate,       // answers are written
  kChoiceTexts,    // the most likely of the choices' texts, behind "Answer:"
  kChoiceLetters,  // the most likely of their letters, the choices being listed before
};

struct TaskEvaluationOptions {
  EvaluationMethod method = EvaluationMethod::kGenerate;
  EvaluationPromptOptions prompt;
  SamplingParams sampling;
  int64_t samples_each = 1;
  int64_t max_tokens = 1024;  // of an answer, fewer where the context ends
  int64_t at_a_time = 64;     // answers under way
  // Tokens of thought after which an answer is forced (s1, arXiv 2501.19393, "budget forcing"):
  // samples that thought for longer are cut there, their thought is closed, and they answer. Each
  // is an evaluation of its own.
  std::vector<int64_t> budgets;
  int64_t answer_tokens = 256;  // of a forced answer
  JudgeOptions judge;
};

// A task put to a model.
class TaskEvaluation {
 public:
  // All have to outlive it. external: judges problems of kind external; may be null where there are
  // none. Makes the prompts; throws Error when one does not fit into the context, when a problem
  // cannot be asked by the method, and where a judge is missing.
  TaskEvaluation(const LoadedModel& model, std::span<const TaskProblem> problems,
                 TaskEvaluationOptions options, RewardFunction* external);

  // Tokens of the longest sequence, prompt and answer together.
  int64_t longest() const { return longest_; }
  // Samples that the log has not (forced ones aside).
  int64_t Missing(const SampleLog& log) const;

  // Makes what is missing. progress: with the samples done so far, of those that were missing, and
  // the tokens written; returning false stops. False: it was stopped; what was done is in the log.
  bool Run(Engine& engine, SampleLog& log,
           FunctionRef<bool(int64_t samples, int64_t tokens)> progress);

 private:
  bool RunChoices(Engine& engine, SampleLog& log,
                  FunctionRef<bool(int64_t samples, int64_t tokens)> progress);
  bool RunJobs(Engine& engine, SampleLog& log, const std::vector<SampleJob>& jobs, int64_t budget,
               FunctionRef<bool(int64_t samples, int64_t tokens)> progress);
  bool RunBudget(Engine& engine, SampleLog& log, int64_t budget,
                 FunctionRef<bool(int64_t samples, int64_t tokens)> progress);
  Sample Judged(const TaskProblem& problem, const SampleJob& job, WrittenSample written,
                int64_t budget) const;
  bool IsThere(const SampleLog& log, const TaskProblem& problem, int64_t index) const;
  int64_t AnswerTokens(size_t prompt) const;
  // What of a forced answer was written before it.
  std::string ForcedText(const Sample& whole, int64_t budget) const;

  const LoadedModel& model_;
  std::span<const TaskProblem> problems_;
  TaskEvaluationOptions options_;
  RewardFunction* external_;
  EvaluationPrompts prompts_;
  std::vector<EvaluationPrompt> prompt_of_;
  int64_t longest_ = 0;
};

}  // namespace fathom
