#include "posttrain/grpo/lesson.h"

namespace fathom {

std::vector<WeighedRollout> WeighLessons(const PolicyLossOptions& options,
                                         std::span<const Lesson> lessons,
                                         std::span<const size_t> order) {
  int64_t all_tokens = 0;
  for (const size_t i : order) all_tokens += lessons[i].episode->tokens;
  std::vector<WeighedRollout> weighed;
  for (const size_t i : order) {
    const Lesson& lesson = lessons[i];
    const double scale =
        TokenScale(options, static_cast<int64_t>(order.size()), all_tokens, lesson.episode->tokens);
    for (size_t k = 0; k < lesson.episode->sequences.size(); ++k) {
      weighed.push_back({.rollout = &lesson.episode->sequences[k],
                         .advantage = lesson.advantage,
                         .scale = scale});
      if (!lesson.reference_logprobs.empty())
        weighed.back().reference_logprobs = lesson.reference_logprobs[k];
    }
  }
  return weighed;
}

}  // namespace fathom
