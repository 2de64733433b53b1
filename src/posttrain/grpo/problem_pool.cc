#include "posttrain/grpo/problem_pool.h"

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/random.h"
#include "data/documents.h"
#include "data/permutation.h"
#include "data/tasks/task_file.h"
#include "posttrain/rewards/answer_judge.h"
#include "text/chat/prompt.h"

namespace fathom {
namespace {

constexpr uint64_t kOrderStreams = 0x6772706f6f726465;

}  // namespace

std::vector<ChatMessage> PromptMessages(const GrpoConfig& config, const TaskProblem& problem) {
  std::vector<ChatMessage> messages;
  if (!config.prompt.system.empty())
    messages.push_back({.role = "system", .content = config.prompt.system});
  messages.insert(messages.end(), problem.messages.begin(), problem.messages.end());
  return messages;
}

jinja::Text RenderPrompt(const GrpoConfig& config, const ChatModel& model,
                         std::span<const ChatMessage> messages) {
  return model.chat.Render(ChatMessagesToData(messages), {.think = config.prompt.think, .now = 0});
}

ProblemPool::ProblemPool(const GrpoConfig& config, const ChatModel& model) : seed_(config.seed) {
  for (const GrpoConfig::ProblemSource& source : config.data.sources) {
    for (TaskProblem& problem : ReadTaskFile(source.path)) {
      // Without a file of its own, the held-out part is a stable choice by id.
      const bool held_out = config.data.held_out.empty() &&
                            IsHeldOut(problem.id, config.seed, config.data.held_out_fraction);
      Add(config, model, std::move(problem), held_out ? held_out_ : train_);
    }
  }
  if (!config.data.held_out.empty()) {
    for (TaskProblem& problem : ReadTaskFile(config.data.held_out))
      Add(config, model, std::move(problem), held_out_);
  }
  const std::string what = fmt::format(
      "{} problems whose prompt leaves no room for {} tokens of answer in the model's "
      "context of {} were left out",
      too_long_, config.rollout.max_tokens, model.config.max_position_embeddings);
  if (train_.empty()) {
    throw Error("data.source", "has no problem to learn from",
                too_long_ > 0 ? what : "is data.held_out_fraction too large?");
  }
  if (too_long_ > 0) spdlog::warn("{}", what);
}

void ProblemPool::Add(const GrpoConfig& config, const ChatModel& model, TaskProblem problem,
                      std::vector<PromptedProblem>& to) {
  const GrpoConfig::RewardSettings& reward = config.reward;
  if (reward.verifier.empty() && reward.models.empty())
    RequireOwnJudge(problem, "give one with reward.verifier, or a reward model");
  const jinja::Text prompt = RenderPrompt(config, model, PromptMessages(config, problem));
  PromptedProblem prompted{.problem = std::move(problem),
                           .prompt = EncodePrompt(model.tokenizer, prompt),
                           .inside_thinking = EndsInsideThinking(prompt)};
  if (static_cast<int64_t>(prompted.prompt.size()) + config.rollout.max_tokens >
      model.config.max_position_embeddings) {
    ++too_long_;
    return;
  }
  to.push_back(std::move(prompted));
}

const PromptedProblem& ProblemPool::Draw(uint64_t draw) const {
  const uint64_t pass = draw / train_.size();
  const Permutation order(train_.size(), MixKey(MixKey(seed_, kOrderStreams), pass));
  return train_[order(draw % train_.size())];
}

uint64_t ProblemPool::Fingerprint() const {
  Hash64 hash;
  hash.UpdateField(seed_);
  for (const PromptedProblem& problem : train_) {
    hash.UpdateField(problem.problem.id);
    hash.UpdateField(problem.problem.row);
    hash.Update(problem.prompt.data(), problem.prompt.size() * sizeof(int32_t));
  }
  return hash.Digest();
}

}  // namespace fathom
