#pragma once

#include "posttrain/grpo/grpo_config.h"
#include "posttrain/rewards/hacking.h"
#include "train/run_log.h"

namespace fathom {

// Says it, on the terminal and in the log (a line of kind "warning"), when a run's proxy rises
// while its gold score falls.
class RewardWatch {
 public:
  // Takes over the steps of a run that goes on from OUTPUT/log.jsonl, which is at the step that it
  // goes on from.
  explicit RewardWatch(const GrpoConfig& config);

  // The means of a step that was logged.
  void Add(int64_t step, double proxy, double gold, RunLog& log);

 private:
  const GrpoConfig& config_;
  RewardHackingWatch watch_;
};

}  // namespace fathom
