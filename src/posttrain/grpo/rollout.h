#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "infer/engine.h"

namespace fathom {

// What the policy has gone on from a prompt with.
struct Rollout {
  std::vector<int32_t> prompt, answer;
  // The parts of the answer that the policy wrote, (begin, count) in order: all of it, or all but
  // what was said to it in between.
  std::vector<std::pair<size_t, size_t>> written;
  // Of the tokens that it wrote, at the temperature they were drawn at: what the trainer computes.
  std::vector<double> logprobs;
  bool finished = false;  // it ended itself; otherwise it was cut off
};

struct RolloutRequest {
  std::vector<int32_t> prompt;
  uint64_t seed = 0, choice = 0;  // as GenerationRequest has them
};

struct RolloutOptions {
  int64_t max_tokens = 256;
  double temperature = 1;  // nothing else decides what is drawn: no truncation
  std::vector<int32_t> stop_ids;
};

// Has the engine answer every prompt, all at once, prefixes shared. A rollout is a function of its
// request, model and options: not of the batches that it was written in.
std::vector<Rollout> MakeRollouts(Engine& engine, std::span<const RolloutRequest> requests,
                                  const RolloutOptions& options);

}  // namespace fathom
