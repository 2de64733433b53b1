#include "posttrain/grpo/grpo_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "backend/planning/planning_backend.h"
#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "model/kv_cache.h"
#include "model/transformer.h"
#include "train/trained_model.h"

namespace fathom {
namespace {

std::vector<TrainingStage> Stages(const GrpoConfig& config, const ModelConfig& model) {
  return {{.model = model,
           .steps = config.steps,
           .sequence_length = config.batch_tokens,
           .batch_tokens = config.batch_tokens}};
}

// Of `count` prompts, the longest of them, with room for an answer each: as Explorer takes them.
int64_t CachePages(std::vector<size_t> prompts, size_t count, int64_t answers,
                   int64_t answer_tokens) {
  std::sort(prompts.begin(), prompts.end(), std::greater<>());
  if (prompts.size() < count) prompts.resize(count, prompts.empty() ? 0 : prompts.front());
  int64_t pages = 0;
  for (size_t i = 0; i < count; ++i) {
    const int64_t length = static_cast<int64_t>(prompts[i]) + answer_tokens;
    pages += answers * KvCache::Pages(length) + 1;
  }
  return pages;
}

double CacheBytes(const GrpoConfig& config, const ModelConfig& model, const ProblemPool& pool) {
  std::vector<size_t> prompts, held_out;
  for (const PromptedProblem& problem : pool.problems()) prompts.push_back(problem.prompt.size());
  for (const PromptedProblem& problem : pool.held_out()) held_out.push_back(problem.prompt.size());
  const int64_t tokens = config.rollout.MostTokens();
  const int64_t rollouts = CachePages(prompts, static_cast<size_t>(config.rollout.problems),
                                      config.rollout.answers, tokens);
  const size_t validated = std::min(held_out.size(), static_cast<size_t>(config.validation.tokens));
  const int64_t pages = std::max(rollouts, CachePages(held_out, validated, 1, tokens));
  return static_cast<double>(pages * KvCache::kPageTokens) *
         static_cast<double>(
             KvCache::BytesPerToken(model, config.ModelPrecision(), CacheFormat::kAct));
}

// Weights that are only read, packed.
double ReferenceBytes(const Context& context, const GrpoConfig& config, const ModelConfig& model) {
  if (config.policy.kl == 0) return 0;
  PlanningBackend backend(*context.backend);
  Arena workspace(MemoryRole::kWorkspace, backend.allocator());
  Context planning{&backend, context.pool, &workspace};
  TrainedModel weights(config, model, /*init_from=*/{}, backend.allocator());
  Transformer transformer(model, config.ModelPrecision(), weights.store(), backend.allocator());
  transformer.Pack(planning, AttentionForm::kAbsorbed, /*training=*/false);
  return static_cast<double>(transformer.packed_bytes());
}

}  // namespace

GrpoPlan PlanGrpo(Context& context, const GrpoConfig& config, const ChatModel& model,
                  const ProblemPool& pool) {
  GrpoPlan plan{.problems = static_cast<int64_t>(pool.problems().size()),
                .held_out = static_cast<int64_t>(pool.held_out().size()),
                .answers = config.rollout.problems * config.rollout.answers};
  plan.answer_tokens = plan.answers * config.rollout.turns * config.rollout.max_tokens;
  plan.memory = PlanTraining(config, Stages(config, model.config), *context.backend, *context.pool);
  plan.memory[MemoryRole::kCache] = CacheBytes(config, model.config, pool);
  plan.memory[MemoryRole::kPacked] += ReferenceBytes(context, config, model.config);
  plan.available = static_cast<double>(AvailableMemory());
  return plan;
}

void RefuseWhatDoesNotFit(Context& context, const GrpoConfig& config, const ModelConfig& model,
                          const GrpoPlan& plan) {
  if (plan.memory.total() <= plan.available) return;
  MemoryPlan updates = plan.memory;
  updates[MemoryRole::kCache] = 0;
  RefuseWhatDoesNotFit(config, Stages(config, model), updates, plan.available, *context.backend,
                       *context.pool);
  const double cache = plan.memory[MemoryRole::kCache];
  throw Error(
      "memory",
      fmt::format("the run needs {}, of which {} are the cache of {} answers at a time, but "
                  "{} are available",
                  FormatBytes(plan.memory.total()), FormatBytes(cache), plan.answers,
                  FormatBytes(plan.available)),
      fmt::format("rollout.problems, rollout.answers and rollout.max_tokens decide it: the "
                  "cache may have {}",
                  FormatBytes(plan.available - updates.total())));
}

}  // namespace fathom
