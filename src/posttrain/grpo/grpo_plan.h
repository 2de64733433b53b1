#pragma once

#include <cstdint>

#include "ops/context.h"
#include "posttrain/chat_model.h"
#include "posttrain/grpo/grpo_config.h"
#include "posttrain/grpo/problem_pool.h"
#include "train/memory_plan.h"

namespace fathom {

// What a run would take, found without answering anything.
struct GrpoPlan {
  int64_t problems = 0, held_out = 0;
  int64_t answers = 0;        // a step's; those to refilled groups come on top
  int64_t answer_tokens = 0;  // a step's, at most
  // Updates, the cache that the longest answers to the longest prompts would fill, and the
  // reference. Reward models are not in it.
  MemoryPlan memory;
  double available = 0;  // bytes
};

// model: config.model.init_from.
GrpoPlan PlanGrpo(Context& context, const GrpoConfig& config, const ChatModel& model,
                  const ProblemPool& pool);
// Throws Error, with the arithmetic and what would make it fit, for what is larger than the memory.
void RefuseWhatDoesNotFit(Context& context, const GrpoConfig& config, const ModelConfig& model,
                          const GrpoPlan& plan);

}  // namespace fathom
