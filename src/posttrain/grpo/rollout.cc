#include "posttrain/grpo/rollout.h"

#include <map>

#include "base/error.h"
#include "base/interrupt.h"

namespace fathom {

std::vector<Rollout> MakeRollouts(Engine& engine, std::span<const RolloutRequest> requests,
                                  const RolloutOptions& options) {
  std::vector<Rollout> rollouts;
  std::map<int64_t, size_t> by_request;
  for (const RolloutRequest& wanted : requests) {
    GenerationRequest request{.prompt = wanted.prompt};
    request.sampling.temperature = options.temperature;
    request.sampling.seed = wanted.seed;
    request.choice = wanted.choice;
    request.max_tokens = options.max_tokens;
    request.stop_ids = options.stop_ids;
    by_request.emplace(engine.AddRequest(std::move(request)), rollouts.size());
    rollouts.push_back({.prompt = wanted.prompt});
  }
  while (!engine.idle()) {
    InterruptGuard::ThrowIfRequested("writing answers");
    for (const EngineEvent& event : engine.Step()) {
      if (event.finish == FinishReason::kFailed) throw Error("rollout", event.error);
      Rollout& rollout = rollouts[by_request.at(event.request)];
      // The token that ends an answer is part of it: ending is learnt.
      rollout.answer.push_back(event.token);
      rollout.logprobs.push_back(options.temperature == 1 ? event.logprob : event.sampled_logprob);
      if (event.finish != FinishReason::kNone)
        rollout.finished = event.finish == FinishReason::kStop;
    }
  }
  for (Rollout& rollout : rollouts) rollout.written = {{0, rollout.answer.size()}};
  return rollouts;
}

}  // namespace fathom
