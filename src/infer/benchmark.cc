#include "infer/benchmark.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/random.h"
#include "infer/forward.h"
#include "infer/sampler.h"

namespace fathom {
namespace {

using Clock = std::chrono::steady_clock;

class Benchmark {
 public:
  Benchmark(Context& context, const Transformer& transformer, const BenchmarkCase& measured)
      : context_(context),
        transformer_(transformer),
        measured_(measured),
        cache_(transformer.config(), transformer.precision(), BenchmarkCacheTokens(measured),
               context.backend->allocator()) {
    const int64_t length = measured.depth + std::max(measured.prompt, measured.generate);
    for (int64_t i = 0; i < measured.batch; ++i) {
      sequences_.push_back(cache_.NewSequence());
      FATHOM_CHECK(cache_.Reserve(sequences_.back(), length));
    }
  }

  // Fills the cache up to the depth.
  bool Fill(FunctionRef<bool(int64_t tokens)> keep_going) {
    for (const int64_t sequence : sequences_) {
      if (!Prefill(sequence, 0, measured_.depth, keep_going)) return false;
    }
    return true;
  }

  // Positions [begin, end) of one sequence, in chunks; the logits of the last one.
  bool Prefill(int64_t sequence, int64_t begin, int64_t end,
               FunctionRef<bool(int64_t tokens)> keep_going) {
    while (begin < end) {
      const int64_t count = std::min(end - begin, measured_.chunk);
      const BatchSequence piece{.count = count, .first_position = begin, .cache_id = sequence};
      begin += count;
      Compute(RandomTokens(count), {piece},
              begin == end ? std::vector<int32_t>{static_cast<int32_t>(count) - 1}
                           : std::vector<int32_t>{});
      if (!keep_going(computed_)) return false;
    }
    return true;
  }

  // One token of every sequence, `generate` times.
  bool Decode(FunctionRef<bool(int64_t tokens)> keep_going) {
    std::vector<int32_t> tokens = RandomTokens(measured_.batch), rows;
    for (int64_t i = 0; i < measured_.batch; ++i) rows.push_back(static_cast<int32_t>(i));
    for (int64_t step = 0; step < measured_.generate; ++step) {
      std::vector<BatchSequence> batch;
      for (int64_t i = 0; i < measured_.batch; ++i) {
        batch.push_back({.begin = i,
                         .count = 1,
                         .first_position = measured_.depth + step,
                         .cache_id = sequences_[static_cast<size_t>(i)]});
      }
      tokens = Compute(tokens, std::move(batch), rows);
      if (!keep_going(computed_)) return false;
    }
    return true;
  }

  int64_t first_sequence() const { return sequences_[0]; }

 private:
  std::vector<int32_t> RandomTokens(int64_t count) {
    std::vector<int32_t> tokens;
    for (int64_t i = 0; i < count; ++i) {
      tokens.push_back(static_cast<int32_t>(
          random_.NextBelow(static_cast<uint64_t>(transformer_.config().vocab_size))));
    }
    return tokens;
  }

  // The most probable token of each of the rows.
  std::vector<int32_t> Compute(const std::vector<int32_t>& tokens, std::vector<BatchSequence> batch,
                               const std::vector<int32_t>& rows) {
    computed_ += static_cast<int64_t>(tokens.size());
    ArenaScope scope(*context_.workspace);
    const Tensor h = ForwardRows(context_, transformer_, cache_, tokens, std::move(batch), rows);
    std::vector<int32_t> chosen;
    if (rows.empty()) return chosen;
    const int64_t vocabulary = transformer_.head().vocab_size();
    const Tensor logits = context_.workspace->New(
        DType::kF32, Shape({static_cast<int64_t>(rows.size()), vocabulary}));
    transformer_.head().Logits(context_, h, logits);
    const std::vector<float> host = Download(context_, logits);
    Sampler greedy({.temperature = 0}, 0);
    for (size_t i = 0; i < rows.size(); ++i) {
      const auto size = static_cast<size_t>(vocabulary);
      chosen.push_back(greedy.Sample({host.data() + i * size, size}, 0));
    }
    return chosen;
  }

  Context& context_;
  const Transformer& transformer_;
  const BenchmarkCase& measured_;
  KvCache cache_;
  std::vector<int64_t> sequences_;
  RandomStream random_{1};
  int64_t computed_ = 0;
};

}  // namespace

int64_t BenchmarkCacheTokens(const BenchmarkCase& measured) {
  const int64_t length = measured.depth + std::max(measured.prompt, measured.generate);
  return measured.batch * KvCache::Pages(length) * KvCache::kPageTokens;
}

int64_t BenchmarkWork(const BenchmarkCase& measured, int64_t repetitions) {
  return measured.batch * measured.depth +
         (repetitions + 1) * (measured.prompt + measured.generate * measured.batch);
}

BenchmarkTimes RunBenchmark(Context& context, const Transformer& transformer,
                            const BenchmarkCase& measured, int64_t repetitions,
                            FunctionRef<bool(int64_t tokens)> keep_going) {
  Benchmark benchmark(context, transformer, measured);
  BenchmarkTimes times;
  if (!benchmark.Fill(keep_going)) return times;
  const auto timed = [&](auto work, std::vector<double>& seconds, bool keep) {
    const auto start = Clock::now();
    if (!work()) return false;
    const std::chrono::duration<double> elapsed = Clock::now() - start;
    if (keep) seconds.push_back(elapsed.count());
    return true;
  };
  for (int64_t i = 0; i <= repetitions; ++i) {
    if (measured.prompt > 0 && !timed(
                                   [&] {
                                     return benchmark.Prefill(
                                         benchmark.first_sequence(), measured.depth,
                                         measured.depth + measured.prompt, keep_going);
                                   },
                                   times.prefill_seconds, i > 0)) {
      return times;
    }
    if (measured.generate > 0 &&
        !timed([&] { return benchmark.Decode(keep_going); }, times.decode_seconds, i > 0)) {
      return times;
    }
  }
  return times;
}

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace fathom
