#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "infer/engine.h"

namespace fathom {

// An answer that the policy wrote.
struct Rollout {
  size_t problem = 0;  // which of the prompts
  std::vector<int32_t> prompt, answer;
  // Of the answer's tokens, at the temperature they were drawn at: what the trainer computes.
  std::vector<double> logprobs;
  bool finished = false;  // it ended itself; otherwise it was cut off
};

struct RolloutOptions {
  int64_t answers = 8;  // to each prompt
  int64_t max_tokens = 256;
  SamplingParams sampling;  // its seed is that of the first prompt's; no truncation
  std::vector<int32_t> stop_ids;
};

// Has the engine answer every prompt so many times, all at once, prompts shared between their
// answers. Rollouts come by problem and answer, and are a function of prompts, model and options:
// not of the batches they were written in. on_progress: tokens written so far.
std::vector<Rollout> MakeRollouts(Engine& engine, const std::vector<std::vector<int32_t>>& prompts,
                                  const RolloutOptions& options,
                                  const std::function<void(int64_t tokens)>& on_progress = {});

}  // namespace fathom
