#include "infer/benchmark.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "base/random.h"
#include "infer/engine.h"
#include "infer/transformer_executor.h"

namespace fathom {
namespace {

using Clock = std::chrono::steady_clock;

class Benchmark {
 public:
  Benchmark(Context& context, const Transformer& transformer, CacheFormat format,
            const BenchmarkCase& measured, int64_t repetitions,
            FunctionRef<bool(int64_t tokens)> keep_going)
      : measured_(measured),
        repetitions_(repetitions),
        keep_going_(keep_going),
        vocabulary_(transformer.config().vocab_size),
        executor_(context, transformer, BenchmarkPages(measured), format) {}

  BenchmarkTimes Run() {
    BenchmarkTimes times;
    if (measured_.prompt > 0 &&
        !Measure(1, measured_.chunk, measured_.prompt, 1, times.prefill_seconds, nullptr)) {
      return times;
    }
    // The first of an answer's steps reads a token of the prompt.
    if (measured_.generate > 0) {
      Measure(measured_.batch, measured_.batch * (1 + measured_.drafts) + measured_.chunk, 1,
              measured_.generate, times.decode_seconds, measured_.drafts > 0 ? &times : nullptr);
    }
    return times;
  }

 private:
  // Times `sequences` requests at a time that go on from a cached prefix each with `prompt` tokens
  // and an answer of `answer`; with `drafted`, in turns with and without guesses. False when it was
  // ended.
  bool Measure(int64_t sequences, int64_t step_tokens, int64_t prompt, int64_t answer,
               std::vector<double>& seconds, BenchmarkTimes* drafted) {
    Engine engine(executor_, {.step_tokens = step_tokens,
                              .max_running = sequences,
                              .max_length = measured_.depth + prompt + answer,
                              .draft = drafted != nullptr ? DraftMode::kOn : DraftMode::kOff,
                              .draft_tokens = measured_.drafts});
    std::vector<std::vector<int32_t>> prefixes;
    for (int64_t i = 0; i < sequences; ++i) {
      std::vector<int32_t>& prefix = prefixes.emplace_back();
      AppendRandomTokens(measured_.depth, prefix);
      if (measured_.depth > 0) Add(engine, prefix, 1);
    }
    if (!Finish(engine)) return false;
    for (int64_t repetition = 0; repetition <= repetitions_; ++repetition) {
      std::vector<std::vector<int32_t>> prompts = prefixes;
      for (std::vector<int32_t>& tokens : prompts) AppendRandomTokens(prompt, tokens);
      // Guesses come second, so that what they find in the cache is what the plain way leaves.
      if (drafted != nullptr) engine.SetDraft(DraftMode::kOff);
      if (!Time(engine, prompts, answer, repetition > 0 ? &seconds : nullptr)) return false;
      if (drafted == nullptr) continue;
      const Engine::Statistics before = engine.statistics();
      engine.SetDraft(DraftMode::kOn);
      if (!Time(engine, prompts, answer, repetition > 0 ? &drafted->drafted_seconds : nullptr)) {
        return false;
      }
      if (repetition > 0) {
        AddDifference(engine.statistics().guessed, before.guessed, drafted->guessed);
        AddDifference(engine.statistics().accepted, before.accepted, drafted->accepted);
      }
    }
    return true;
  }

  // Runs requests to their ends. seconds: where the time goes, if it counts.
  bool Time(Engine& engine, const std::vector<std::vector<int32_t>>& prompts, int64_t answer,
            std::vector<double>* seconds) {
    const auto start = Clock::now();
    for (const std::vector<int32_t>& tokens : prompts) Add(engine, tokens, answer);
    if (!Finish(engine)) return false;
    const std::chrono::duration<double> elapsed = Clock::now() - start;
    if (seconds != nullptr) seconds->push_back(elapsed.count());
    return true;
  }

  // sum += after - before, which may be shorter.
  static void AddDifference(const std::vector<int64_t>& after, const std::vector<int64_t>& before,
                            std::vector<int64_t>& sum) {
    sum.resize(after.size());
    for (size_t i = 0; i < after.size(); ++i) {
      sum[i] += after[i] - (i < before.size() ? before[i] : 0);
    }
  }

  static void Add(Engine& engine, std::vector<int32_t> prompt, int64_t answer) {
    engine.AddRequest(
        {.prompt = std::move(prompt), .sampling = {.temperature = 0}, .max_tokens = answer});
  }

  bool Finish(Engine& engine) {
    while (!engine.idle()) {
      const int64_t before = engine.statistics().computed_tokens;
      engine.Step();
      computed_ += engine.statistics().computed_tokens - before;
      if (!keep_going_(computed_)) return false;
    }
    return true;
  }

  void AppendRandomTokens(int64_t count, std::vector<int32_t>& tokens) {
    for (int64_t i = 0; i < count; ++i) {
      tokens.push_back(static_cast<int32_t>(random_.NextBelow(static_cast<uint64_t>(vocabulary_))));
    }
  }

  const BenchmarkCase& measured_;
  int64_t repetitions_;
  FunctionRef<bool(int64_t tokens)> keep_going_;
  int64_t vocabulary_;
  TransformerExecutor executor_;
  RandomStream random_{1};
  int64_t computed_ = 0;
};

}  // namespace

int64_t BenchmarkPages(const BenchmarkCase& measured) {
  // Of each sequence: its own pages, the end of its prefix that it copies, and one to grow.
  constexpr int64_t kMore = 2;
  const int64_t prefill = KvCache::Pages(measured.depth + measured.prompt + 1) + kMore;
  const int64_t decode =
      measured.batch * (KvCache::Pages(measured.depth + 1 + measured.generate) + kMore);
  return std::max(prefill, decode);
}

int64_t BenchmarkWork(const BenchmarkCase& measured, int64_t repetitions) {
  int64_t work = 0;
  if (measured.prompt > 0) work += measured.depth + (repetitions + 1) * measured.prompt;
  if (measured.generate > 0) {
    // Guesses that do not hold are computed too.
    const int64_t ways = measured.drafts > 0 ? 2 + measured.drafts : 1;
    work += measured.batch * (measured.depth + (repetitions + 1) * ways * measured.generate);
  }
  return work;
}

BenchmarkTimes RunBenchmark(Context& context, const Transformer& transformer, CacheFormat format,
                            const BenchmarkCase& measured, int64_t repetitions,
                            FunctionRef<bool(int64_t tokens)> keep_going) {
  return Benchmark(context, transformer, format, measured, repetitions, keep_going).Run();
}

double BenchmarkTimes::TokensPerCycle(int64_t written) const {
  const int64_t held = std::accumulate(accepted.begin(), accepted.end(), int64_t{0});
  return static_cast<double>(written) / static_cast<double>(std::max<int64_t>(1, written - held));
}

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace fathom
