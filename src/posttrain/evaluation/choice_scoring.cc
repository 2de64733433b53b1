#include "posttrain/evaluation/choice_scoring.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/ascii.h"
#include "base/error.h"

namespace fathom {
namespace {

// Requests that wait in the engine at a time.
constexpr size_t kWaiting = 256;

struct Place {
  size_t job, choice;
};

GenerationRequest Request(const Tokenizer& tokenizer, const ChoiceJob& job, size_t choice,
                          const std::vector<int32_t>& begin, int64_t max_length) {
  const EncodeOptions plain{.added_tokens = false};
  GenerationRequest request{.prompt = begin, .max_tokens = 0};
  tokenizer.Encode(job.context + job.choices[choice], plain, request.prompt);
  const size_t context = begin.size() + tokenizer.Encode(job.context, plain).size();
  const size_t length = request.prompt.size();
  // A choice has a token of its own, even where it melts into the context's last one.
  size_t from = std::min(context, length - 1);
  if (const auto most = static_cast<size_t>(max_length); length > most) {
    const size_t cut = std::min(length - most, from > 0 ? from - 1 : 0);
    request.prompt.erase(request.prompt.begin(),
                         request.prompt.begin() + static_cast<std::ptrdiff_t>(cut));
    from -= cut;
  }
  if (from == 0) {
    throw Error("multiple choice", "there is nothing before the choices",
                "a question, or a model whose texts begin with a token, is needed");
  }
  request.score_from = static_cast<int64_t>(from);
  return request;
}

}  // namespace

size_t ChoiceScores::Best(bool by_byte) const {
  const auto score = [&](size_t i) {
    return by_byte ? logprobs[i] / static_cast<double>(std::max<int64_t>(1, bytes[i]))
                   : logprobs[i];
  };
  size_t best = 0;
  for (size_t i = 1; i < logprobs.size(); ++i) {
    if (score(i) > score(best)) best = i;
  }
  return best;
}

std::vector<ChoiceScores> ScoreChoices(Engine& engine, const Tokenizer& tokenizer,
                                       std::span<const ChoiceJob> jobs,
                                       const std::vector<int32_t>& begin, int64_t max_length,
                                       FunctionRef<bool(int64_t done)> progress) {
  std::vector<ChoiceScores> scores(jobs.size());
  std::vector<size_t> left(jobs.size());
  std::map<int64_t, Place> running;
  Place next{0, 0};
  int64_t done = 0;
  while (next.job < jobs.size() || !running.empty()) {
    while (next.job < jobs.size() && running.size() < kWaiting) {
      const ChoiceJob& job = jobs[next.job];
      if (next.choice == 0) {
        scores[next.job].logprobs.resize(job.choices.size());
        left[next.job] = job.choices.size();
      }
      const auto text = Trimmed(job.choices[next.choice]);
      scores[next.job].bytes.push_back(static_cast<int64_t>(text.size()));
      running[engine.AddRequest(Request(tokenizer, job, next.choice, begin, max_length))] = next;
      if (++next.choice == job.choices.size()) next = {next.job + 1, 0};
    }
    for (const EngineEvent& event : engine.Step()) {
      const auto found = running.find(event.request);
      FATHOM_CHECK(found != running.end());
      if (event.finish == FinishReason::kFailed) throw Error("multiple choice", event.error);
      const auto [job, choice] = found->second;
      if (event.scored) scores[job].logprobs[choice] += event.logprob;
      if (event.finish == FinishReason::kNone) continue;
      running.erase(found);
      if (--left[job] == 0) ++done;
    }
    if (progress(done)) continue;
    for (const auto& [id, place] : running) engine.Cancel(id);
    for (size_t i = 0; i < jobs.size(); ++i) {
      if (left[i] > 0 || i >= next.job) scores[i] = {};
    }
    return scores;
  }
  return scores;
}

}  // namespace fathom
