#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/tasks/task_problem.h"
#include "posttrain/chat_model.h"
#include "posttrain/grpo/grpo_config.h"

namespace fathom {

// A problem as the model is asked it.
struct PromptedProblem {
  TaskProblem problem;
  std::vector<int32_t> prompt;
  bool inside_thinking = false;  // the prompt opened <think>
};

// The system prompt and the problem's own messages.
std::vector<ChatMessage> PromptMessages(const GrpoConfig& config, const TaskProblem& problem);
// The prompt to go on from such messages.
jinja::Text RenderPrompt(const GrpoConfig& config, const ChatModel& model,
                         std::span<const ChatMessage> messages);

// The problems of a run: those to learn from, in random orders, and those held out.
class ProblemPool {
 public:
  // Throws Error for task files that cannot be read, and when none is left to learn from. Problems
  // whose prompt and answer do not fit into the model's context are left out, with a warning.
  ProblemPool(const GrpoConfig& config, const ChatModel& model);

  // The problem that is drawn number `draw`: pass after pass, each in an order of its own.
  const PromptedProblem& Draw(uint64_t draw) const;
  std::span<const PromptedProblem> problems() const { return train_; }
  std::span<const PromptedProblem> held_out() const { return held_out_; }
  // Of everything that decides what is drawn.
  uint64_t Fingerprint() const;

 private:
  void Add(const GrpoConfig& config, const ChatModel& model, TaskProblem problem,
           std::vector<PromptedProblem>& to);

  uint64_t seed_;
  uint64_t too_long_ = 0;
  std::vector<PromptedProblem> train_, held_out_;
};

}  // namespace fathom
