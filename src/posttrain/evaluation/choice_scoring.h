#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/function_ref.h"
#include "infer/engine.h"
#include "text/tokenizer.h"

namespace fathom {

// A context and what could follow it.
struct ChoiceJob {
  std::string context;               // plain text; may be empty with `begin`
  std::vector<std::string> choices;  // each with the white space before it
};

struct ChoiceScores {
  std::vector<double> logprobs;  // ln p(choice | context), summed over its tokens
  std::vector<int64_t> bytes;    // of each choice's text, without white space before it

  // The most likely choice, of equals the first; by the probability, or by the probability's
  // bytes-th root, so that long choices are not at a disadvantage (lm-evaluation-harness's acc and
  // acc_norm).
  size_t Best(bool by_byte) const;
};

// The log-probabilities of choices under the model. A choice's tokens are those by which context
// and choice together are longer than the context, as lm-evaluation-harness has it. begin: ids
// before every context. max_length: of context and choice; what is longer loses its beginning.
// progress: with the number of jobs done; returning false gives up (the scores of jobs that are
// not done are empty).
std::vector<ChoiceScores> ScoreChoices(Engine& engine, const Tokenizer& tokenizer,
                                       std::span<const ChoiceJob> jobs,
                                       const std::vector<int32_t>& begin, int64_t max_length,
                                       FunctionRef<bool(int64_t done)> progress);

}  // namespace fathom
