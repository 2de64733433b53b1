#pragma once

#include <optional>

#include "posttrain/reward_model/reward_config.h"
#include "posttrain/reward_model/score_statistics.h"
#include "train/trainer.h"

namespace fathom {

struct RewardSummary {
  TrainSummary training;
  // Of all held-out examples, under the model that the run ends with; nothing: none is held out, or
  // the run was interrupted.
  std::optional<ScoreStatistics> held_out;
  uint64_t held_out_examples = 0;
};

// Trains a model that scores texts on preferences or labels (docs/reward-models.md): from its start
// or its newest checkpoint to its end; what RunTraining does. Its judgements are mean losses of
// held-out examples. Leaves OUTPUT/held-out.jsonl, the held-out examples with their scores, the
// most wrong ones first. Errors as in its parts.
RewardSummary RunReward(Context& context, const RewardConfig& config, const TrainOptions& options);

// What it would go through, its examples counted; leaves nothing behind.
std::vector<TrainingStage> RewardStages(const RewardConfig& config, ThreadPool& pool, bool quiet);

}  // namespace fathom
