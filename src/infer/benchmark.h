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
};

struct BenchmarkTimes {
  std::vector<double> prefill_seconds;  // one a repetition
  std::vector<double> decode_seconds;
};

// Pages of cache that a case needs.
int64_t BenchmarkPages(const BenchmarkCase& measured);
// Tokens that are computed to measure it.
int64_t BenchmarkWork(const BenchmarkCase& measured, int64_t repetitions);

// Times the engine on random tokens, from the arrival of requests to their last token. What comes
// before the first token that is timed is in the prefix cache. The first repetition is a warm-up
// and not returned. `keep_going` is called after every step with the tokens computed so far; false
// ends the measurement at once.
BenchmarkTimes RunBenchmark(Context& context, const Transformer& transformer, CacheFormat format,
                            const BenchmarkCase& measured, int64_t repetitions,
                            FunctionRef<bool(int64_t tokens)> keep_going);

double Median(std::vector<double> values);  // 0 when there are none

}  // namespace fathom
