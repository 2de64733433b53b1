#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "infer/engine.h"
#include "posttrain/chat_model.h"
#include "posttrain/grpo/problem_pool.h"
#include "posttrain/grpo/rollout.h"
#include "posttrain/rewards/reward.h"
#include "posttrain/verifier/external_judge.h"

namespace fathom {

// What the policy did about a problem: one answer, or a conversation with an environment.
struct Episode {
  const PromptedProblem* problem = nullptr;
  // What is learnt from. Turns are in one sequence as long as a prompt goes on from the one before
  // and its answer; where it does not (templates that leave earlier thoughts out of the history),
  // another one begins.
  std::vector<Rollout> sequences;
  std::vector<ChatMessage> said;       // since the problem; with an environment
  Completion completion;               // the last answer
  int64_t turns = 0, tokens = 0;       // answers, and what the policy wrote of them
  bool finished = false;               // no answer was cut off
  std::optional<RewardValue> verdict;  // the environment's
};

struct EpisodeOptions {
  int64_t answers = 8;  // to each problem
  int64_t max_tokens = 256;
  double temperature = 1;
  uint64_t seed = 0;
  // With an environment: answers of a conversation at most; tokens that a message of the
  // environment may have, what the template puts around it too.
  int64_t turns = 1, message_tokens = 256;
};

// Has the policy answer every problem so many times. An environment is asked about each answer: its
// reward ends the conversation, its message is answered. What cannot be gone on with (an answer
// that was cut off, the last turn, a context that is full) has to get a reward; a message in its
// place is no verdict (RewardStatus::kFailed). Episodes come by problem and answer, and are a
// function of problems, model, options and what the environment says.
//
// environment: null, or a judge whose replies may be messages.
std::vector<Episode> PlayEpisodes(Engine& engine, const ChatModel& model, const GrpoConfig& config,
                                  std::span<const PromptedProblem* const> problems,
                                  const EpisodeOptions& options, ExternalJudge* environment);

}  // namespace fathom
