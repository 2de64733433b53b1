#include "posttrain/evaluation/sample_runner.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/error.h"
#include "text/special_tokens.h"
#include "text/stream_decoder.h"

namespace fathom {
namespace {

// An answer under way.
class Writing {
 public:
  Writing(size_t job, const SampleJob& of, const SampleRules& rules, const Tokenizer& tokenizer)
      : job_(job), rules_(rules), decoder_(tokenizer) {
    sample_.completion.inside_thinking = of.inside_thinking;
  }

  size_t job() const { return job_; }

  // Takes a token; true when the answer has come to a stop text.
  bool Take(const EngineEvent& event) {
    ++sample_.completion.tokens;
    if (event.finish != FinishReason::kStop) {
      sample_.ids.push_back(event.token);
      Append(decoder_.Push(event.token));
    }
    return stopped_;
  }

  WrittenSample Finish(bool stopped) {
    if (!stopped_) Append(decoder_.Finish());
    Completion& completion = sample_.completion;
    completion.finished = stopped || stopped_;
    if (!closed_ &&
        (completion.inside_thinking || completion.text.find(kThinkBegin) != std::string::npos)) {
      sample_.thinking_tokens = static_cast<int64_t>(sample_.ids.size());
    }
    return std::move(sample_);
  }

 private:
  void Append(const std::string& piece) {
    std::string& text = sample_.completion.text;
    const size_t before = text.size();
    text += piece;
    if (!closed_) {
      const size_t mark = std::string_view(kThinkEnd).size();
      if (text.find(kThinkEnd, before < mark ? 0 : before - mark) != std::string::npos) {
        closed_ = true;
        // The mark itself is no thought.
        sample_.thinking_tokens =
            std::max<int64_t>(0, static_cast<int64_t>(sample_.ids.size()) - 1);
      }
    }
    for (const std::string& stop : rules_.stop_texts) {
      const size_t found = text.find(stop, before < stop.size() ? 0 : before - stop.size());
      if (found == std::string::npos) continue;
      text.resize(found);
      stopped_ = true;
    }
  }

  size_t job_;
  const SampleRules& rules_;
  StreamDecoder decoder_;
  WrittenSample sample_;
  bool closed_ = false, stopped_ = false;
};

}  // namespace

void RunSamples(Engine& engine, const Tokenizer& tokenizer, std::span<const SampleJob> jobs,
                const SampleRules& rules, int64_t at_a_time,
                FunctionRef<void(size_t job, WrittenSample sample)> done,
                FunctionRef<bool(int64_t tokens)> progress) {
  std::map<int64_t, Writing> writing;
  size_t next = 0;
  int64_t tokens = 0;
  while (next < jobs.size() || !writing.empty()) {
    while (next < jobs.size() && static_cast<int64_t>(writing.size()) < at_a_time) {
      const SampleJob& job = jobs[next];
      SamplingParams sampling = rules.sampling;
      sampling.seed = job.seed.value_or(sampling.seed);
      const int64_t id = engine.AddRequest({.prompt = job.prompt,
                                            .sampling = std::move(sampling),
                                            .choice = static_cast<uint64_t>(job.index),
                                            .max_tokens = job.max_tokens,
                                            .stop_ids = rules.stop_ids});
      writing.try_emplace(id, next, job, rules, tokenizer);
      ++next;
    }
    for (const EngineEvent& event : engine.Step()) {
      const auto found = writing.find(event.request);
      if (found == writing.end()) continue;  // its other tokens of this step, after a stop text
      if (event.finish == FinishReason::kFailed) throw Error("evaluation", event.error);
      ++tokens;
      Writing& one = found->second;
      const bool stopped = one.Take(event);
      if (!stopped && event.finish == FinishReason::kNone) continue;
      if (event.finish == FinishReason::kNone) engine.Cancel(event.request);
      const size_t job = one.job();
      WrittenSample sample = one.Finish(event.finish == FinishReason::kStop);
      writing.erase(found);
      done(job, std::move(sample));
    }
    if (progress(tokens)) continue;
    for (const auto& [id, one] : writing) engine.Cancel(id);
    return;
  }
}

}  // namespace fathom
