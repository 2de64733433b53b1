#include "posttrain/grpo/rollout.h"

#include "base/error.h"
#include "base/interrupt.h"
#include "base/random.h"

namespace fathom {

std::vector<Rollout> MakeRollouts(Engine& engine, const std::vector<std::vector<int32_t>>& prompts,
                                  const RolloutOptions& options,
                                  const std::function<void(int64_t tokens)>& on_progress) {
  std::vector<Rollout> rollouts;
  std::map<int64_t, size_t> by_request;
  for (size_t p = 0; p < prompts.size(); ++p) {
    for (int64_t a = 0; a < options.answers; ++a) {
      GenerationRequest request{.prompt = prompts[p], .sampling = options.sampling};
      request.sampling.seed = MixKey(options.sampling.seed, p);
      request.choice = static_cast<uint64_t>(a);
      request.max_tokens = options.max_tokens;
      request.stop_ids = options.stop_ids;
      by_request.emplace(engine.AddRequest(std::move(request)), rollouts.size());
      rollouts.push_back({.problem = p, .prompt = prompts[p]});
    }
  }
  int64_t written = 0;
  while (!engine.idle()) {
    InterruptGuard::ThrowIfRequested("writing answers");
    for (const EngineEvent& event : engine.Step()) {
      if (event.finish == FinishReason::kFailed) throw Error("rollout", event.error);
      Rollout& rollout = rollouts[by_request.at(event.request)];
      // The token that ends an answer is part of it: ending is learnt.
      rollout.answer.push_back(event.token);
      rollout.logprobs.push_back(options.sampling.temperature == 1 ? event.logprob
                                                                   : event.sampled_logprob);
      if (event.finish != FinishReason::kNone)
        rollout.finished = event.finish == FinishReason::kStop;
      ++written;
    }
    if (on_progress) on_progress(written);
  }
  return rollouts;
}

}  // namespace fathom
