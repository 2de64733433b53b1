#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "posttrain/grpo/grpo_config.h"
#include "train/memory_plan.h"
#include "train/trainer.h"

namespace fathom {

struct GrpoSummary {
  bool interrupted = false;  // by Ctrl-C; a checkpoint was written
  int64_t step = 0;
  double seconds = 0;
  // Share of the held-out problems that are answered right, before the first step and at the end,
  // greedily; -1: none is held out, or the run was interrupted.
  double accuracy_before = -1, accuracy = -1;
  int64_t held_out = 0;  // problems it was measured on
  std::filesystem::path model{};
};

// Group relative policy optimisation (DeepSeekMath, arXiv 2402.03300; DeepSeek-R1) on problems with
// verifiable answers, rollouts and updates in one process with the same weights
// (docs/reinforcement-learning.md): from its start or its newest checkpoint to its end. With
// precision.attention = "absorbed" the log-probs of rollouts and trainer are equal bit for bit: an
// Error says where they are not. Errors otherwise as in its parts.
GrpoSummary RunGrpo(Context& context, const GrpoConfig& config, const TrainOptions& options);

}  // namespace fathom
