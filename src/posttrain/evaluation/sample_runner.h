#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/function_ref.h"
#include "infer/engine.h"
#include "posttrain/rewards/completion.h"
#include "text/tokenizer.h"

namespace fathom {

// An answer to be written.
struct SampleJob {
  size_t problem = 0;  // the caller's number for it
  int64_t index = 0;   // which of the answers; decides the random stream
  std::vector<int32_t> prompt;
  bool inside_thinking = false;
  int64_t max_tokens = 0;
  std::optional<uint64_t> seed;  // in place of the rules'
};

struct SampleRules {
  SamplingParams sampling;
  std::vector<int32_t> stop_ids;
  std::vector<std::string> stop_texts;  // the answer ends before the first of them
};

// An answer that was written.
struct WrittenSample {
  Completion completion;
  std::vector<int32_t> ids;  // without the stop token
  int64_t thinking_tokens = 0;
};

// Writes the answers of all jobs, as many at a time as the engine runs, in whatever order they are
// done. done: is called with the number of the job. progress: with the tokens written so far, a
// step's at a time; returning false gives up what is not done. Throws Error where the engine does.
void RunSamples(Engine& engine, const Tokenizer& tokenizer, std::span<const SampleJob> jobs,
                const SampleRules& rules, int64_t at_a_time,
                FunctionRef<void(size_t job, WrittenSample sample)> done,
                FunctionRef<bool(int64_t tokens)> progress);

}  // namespace fathom
