#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "model/transformer.h"
#include "posttrain/chat_model.h"
#include "posttrain/grpo/episode.h"
#include "posttrain/grpo/grpo_config.h"
#include "posttrain/grpo/problem_pool.h"
#include "posttrain/rewards/reward.h"
#include "posttrain/verifier/external_judge.h"

namespace fathom {

// The answers of a step that teach something, with their rewards; and what all answers were like
// that were written for it.
struct Experience {
  // Group by group, config.rollout.answers each.
  std::vector<Episode> episodes;
  std::vector<Reward> rewards;
  std::vector<double> advantages;

  // Sums over all that was written, groups without spread too.
  int64_t written = 0;
  double reward = 0, right = 0, turns = 0, tokens = 0, finished = 0;
  double proxy = 0;                // the reward without its gold component
  std::vector<double> components;  // of the reward, before their weights
  int64_t groups_without_spread = 0;
};

// The components that a run's answers are judged by, their models in memory.
RewardSet MakeRewards(Context& context, const GrpoConfig& config, bool quiet);

// Has a policy answer problems, and judges its answers.
class Explorer {
 public:
  // All of them have to outlive it.
  Explorer(Context& context, const GrpoConfig& config, const ChatModel& model,
           const ProblemPool& pool, Transformer& policy, RewardSet& rewards);

  // What a step learns from: problems are drawn from `draws` on, which is moved on.
  Experience Gather(uint64_t& draws);

  struct Accuracy {
    double right = 0;   // share of the problems
    double tokens = 0;  // of an answer
  };
  // Of greedy answers to the first `count` held-out problems.
  Accuracy Judge(size_t count);

  const RewardSet& rewards() const { return rewards_; }

 private:
  std::vector<Episode> Play(const std::vector<const PromptedProblem*>& problems, int64_t answers,
                            double temperature, uint64_t seed);
  std::vector<Reward> Score(const std::vector<Episode>& episodes);
  // Whether the rules or the user's command call it right.
  bool IsRight(const Reward& reward) const;

  Context& context_;
  const GrpoConfig& config_;
  const ChatModel& model_;
  const ProblemPool& pool_;
  Transformer& policy_;
  RewardSet& rewards_;
  std::optional<ExternalJudge> environment_;  // where there are several turns
};

}  // namespace fathom
