#pragma once

#include <cstdint>
#include <vector>

#include "base/function_ref.h"
#include "model/transformer.h"

namespace fathom {

// What is measured at one depth.
struct BenchmarkCase {
  int64_t depth = 0;     // tokens in the cache before the first one that is timed, per sequence
  int64_t prompt = 512;  // prompt tokens of one sequence that are timed; 0: no prefill
  int64_t generate = 0;  // tokens that each sequence generates, greedily; 0: no decode
  int64_t batch = 1;     // sequences that decode at a time
  int64_t chunk = 512;   // prompt tokens computed at a time
  // Decoding is timed twice, in turns: as it is, and with so many guesses of the model's MTP module
  // verified at a time; 0: once.
  int64_t drafts = 0;
};

struct BenchmarkTimes {
  std::vector<double> prefill_seconds;  // one a repetition
  std::vector<double> decode_seconds;
  std::vector<double> drafted_seconds;  // the same answers with guesses, beside decode_seconds
  // Of the timed answers with guesses, by the guess's place: how often there was one, and how often
  // it held.
  std::vector<int64_t> guessed, accepted;

  // Tokens that a step wrote of a sequence, of so many written with guesses.
  double TokensPerCycle(int64_t written) const;
};

// Pages of cache that a case needs.
int64_t BenchmarkPages(const BenchmarkCase& measured);
// Tokens that are computed to measure it.
int64_t BenchmarkWork(const BenchmarkCase& measured, int64_t repetitions);

// Times the engine on random tokens (what follows is what the model writes, greedily), from the
// arrival of requests to their last token. What comes before the first token that is timed is in
// the prefix cache. The first repetition is a warm-up and not returned. `keep_going` is called
// after every step with the tokens computed so far; false ends the measurement at once.
BenchmarkTimes RunBenchmark(Context& context, const Transformer& transformer, CacheFormat format,
                            const BenchmarkCase& measured, int64_t repetitions,
                            FunctionRef<bool(int64_t tokens)> keep_going);

double Median(std::vector<double> values);  // 0 when there are none

}  // namespace fathom
