#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/tasks/task_problem.h"
#include "infer/loaded_model.h"
#include "text/chat/chat_template.h"

namespace fathom {

struct EvaluationPromptOptions {
  // Plain text instead of the model's chat template: "Problem: ...\nSolution:\n", as `fathom
  // problems --form text` writes it, for models that were never taught to chat.
  bool plain = false;
  std::string system;       // a system prompt for rows that have none; not for plain text
  std::string instruction;  // behind every question, on a line of its own
  std::optional<bool> think;
  // Shown before the question, solved: as turns of a chat, or as plain text.
  std::vector<TaskProblem> examples;
};

struct EvaluationPrompt {
  std::vector<int32_t> ids;
  bool inside_thinking = false;  // the answer begins inside of <think>
};

// The conversation that a problem is asked in: system prompt, examples as turns, and the question
// with its choices and the instruction behind it. Not for plain text.
std::vector<ChatMessage> AskedMessages(const TaskProblem& problem,
                                       const EvaluationPromptOptions& options);

// Turns problems into what a model is given.
class EvaluationPrompts {
 public:
  // The model has to outlive it. Throws Error when it has no tokenizer, or no chat template and
  // `plain` is not set; UsageError for options that do not go together.
  EvaluationPrompts(const LoadedModel& model, EvaluationPromptOptions options);

  EvaluationPrompt Make(const TaskProblem& problem) const;
  // What ends an answer.
  const std::vector<int32_t>& stop_ids() const { return stop_ids_; }
  // The same for plain text: where the next problem would begin.
  const std::vector<std::string>& stop_texts() const { return stop_texts_; }

  // The plain text of a question up to where its answer begins; choices are listed with their
  // letters.
  std::string PlainText(const TaskProblem& problem) const;
  // The plain text behind which choices are compared: examples and question, up to "Answer:".
  // Choices that the problem has are listed, those of the examples then too.
  std::string ChoiceContext(const TaskProblem& problem) const;

 private:
  const LoadedModel& model_;
  EvaluationPromptOptions options_;
  std::optional<ChatTemplate> template_;
  std::vector<int32_t> stop_ids_;
  std::vector<std::string> stop_texts_;
};

// The ids of plain text, behind the begin token if the model's texts begin with one.
std::vector<int32_t> EncodePlainText(const LoadedModel& model, const std::string& text);

}  // namespace fathom
