#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/function_ref.h"
#include "data/tasks/problem_generator.h"

namespace fathom {

struct ProblemSetOptions {
  std::vector<const ProblemGenerator*> generators;  // at least one; shares are equal
  int least_difficulty = 1, most_difficulty = 1;    // shares are equal
  ProblemPart part = ProblemPart::kTrain;
  uint64_t count = 0;
  uint64_t seed = 0;
  int64_t largest = 0;  // no number of a problem, its steps and its answer is larger; 0: any may be
};

// A problem of a set.
struct SetProblem {
  const WorkedProblem& problem;
  const ProblemGenerator& generator;
  int difficulty;
  std::string id;  // "arithmetic-3-" and the hash of the canonical form: unique in every set
};

// Visits `count` problems, no two of them with the same canonical form; returns how many they were:
// fewer once a kind has no more different ones at a difficulty.
uint64_t ForEachProblem(const ProblemSetOptions& options,
                        FunctionRef<void(const SetProblem&)> visit);

// As if it had been read from a file.
TaskProblem AsTask(const SetProblem& problem);

// What a row of JSONL is for.
enum class ProblemForm : uint8_t {
  kTask,  // "task": question, answer, kind: ReadTaskFile reads it
  kChat,  // "chat": messages, the thoughts under reasoning_content: for fine-tuning
  kText,  // "text": problem, solution and answer as plain text: for the mix of a base model
};

// How an answer is marked (ExtractAnswer finds it).
enum class AnswerMark : uint8_t {
  kBoxed,     // "boxed": \boxed{42}
  kHash,      // "hash": #### 42
  kTags,      // "tags": <answer>42</answer>
  kSentence,  // "sentence": The answer is 42.
};

// The answer that says it.
std::string Marked(const std::string& response, AnswerMark mark);

struct RowStyle {
  ProblemForm form = ProblemForm::kTask;
  AnswerMark mark = AnswerMark::kBoxed;  // of kChat
  // Of kChat and kText: the share, by a hash of their ids, whose answer (right all the same) comes
  // without having been worked out: the thought is that it is easy.
  double hasty = 0;
};

// One line of JSON, without its end.
std::string ProblemRow(const SetProblem& problem, const RowStyle& style);

}  // namespace fathom
