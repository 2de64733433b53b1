#pragma once

#include <span>
#include <vector>

#include "posttrain/grpo/episode.h"
#include "posttrain/grpo/policy_loss.h"
#include "posttrain/grpo/policy_step.h"

namespace fathom {

// An episode to learn from.
struct Lesson {
  const Episode* episode = nullptr;
  double advantage = 0;
  std::vector<std::vector<double>> reference_logprobs;  // of each of its sequences, or none
};

// The sequences of lessons[order[i]], weighed as those of one mini-batch: an episode is one answer,
// whatever its turns.
std::vector<WeighedRollout> WeighLessons(const PolicyLossOptions& options,
                                         std::span<const Lesson> lessons,
                                         std::span<const size_t> order);

}  // namespace fathom
