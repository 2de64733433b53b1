// Encoding speed on one thread:
//
//   fathom_tokenizer_bench TOKENIZER.json TEXT [--benchmark_...]
//
// Cold: the first pass of a tokenizer that has not seen a word yet. Warm: one that has. General:
// the same with every pattern searched by PCRE2 instead of a scanner written for it. Split: cutting
// into words alone.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "text/tokenizer.h"

namespace fathom {
namespace {

// Another pattern that finds the same, which no scanner is for.
PreTokenizer WithoutScanners(const PreTokenizer& pre_tokenizer) {
  std::vector<PreTokenizerStep> steps = pre_tokenizer.steps();
  for (PreTokenizerStep& step : steps) {
    if (step.kind == PreTokenizerStep::Kind::kRegex) step.pattern = "(?:" + step.pattern + ")";
  }
  return PreTokenizer(std::move(steps), pre_tokenizer.byte_level());
}

Tokenizer Copy(const Tokenizer& tokenizer, PreTokenizer pre_tokenizer) {
  const BpeModel& model = tokenizer.model();
  return Tokenizer(
      std::move(pre_tokenizer),
      BpeModel({model.tokens().begin(), model.tokens().end()},
               {model.merges().begin(), model.merges().end()}, "benchmark", model.whole_words()),
      tokenizer.added_tokens(), "benchmark", {.normalizer = tokenizer.normalizer()});
}

void Finish(benchmark::State& state, std::string_view text) {
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * text.size()));
}

void Cold(benchmark::State& state, const Tokenizer& tokenizer, std::string_view text) {
  for (auto _ : state) {
    state.PauseTiming();
    std::optional<Tokenizer> fresh = Copy(tokenizer, tokenizer.pre_tokenizer());
    state.ResumeTiming();
    benchmark::DoNotOptimize(fresh->Encode(text));
    state.PauseTiming();
    fresh.reset();
    state.ResumeTiming();
  }
  Finish(state, text);
}

void Warm(benchmark::State& state, const Tokenizer& tokenizer, std::string_view text) {
  for (auto _ : state) benchmark::DoNotOptimize(tokenizer.Encode(text));
  Finish(state, text);
}

void Split(benchmark::State& state, const PreTokenizer& pre_tokenizer, std::string_view text) {
  size_t words = 0;
  for (auto _ : state) pre_tokenizer.Split(text, [&](std::string_view) { ++words; });
  benchmark::DoNotOptimize(words);
  Finish(state, text);
}

int Main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s TOKENIZER.json TEXT [--benchmark_...]\n", argv[0]);
    return 2;
  }
  const Tokenizer tokenizer = Tokenizer::Load(argv[1]);
  const Tokenizer general = Copy(tokenizer, WithoutScanners(tokenizer.pre_tokenizer()));
  const std::string text = ReadFile(argv[2]);
  const auto add = [](const char* name, auto function) {
    benchmark::RegisterBenchmark(name, function)->Unit(benchmark::kMillisecond);
  };
  add("encode/cold", [&](benchmark::State& state) { Cold(state, tokenizer, text); });
  add("encode/warm", [&](benchmark::State& state) { Warm(state, tokenizer, text); });
  add("encode/general/cold", [&](benchmark::State& state) { Cold(state, general, text); });
  add("encode/general/warm", [&](benchmark::State& state) { Warm(state, general, text); });
  add("split", [&](benchmark::State& state) { Split(state, tokenizer.pre_tokenizer(), text); });
  add("split/general",
      [&](benchmark::State& state) { Split(state, general.pre_tokenizer(), text); });
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace
}  // namespace fathom

int main(int argc, char** argv) {
  try {
    return fathom::Main(argc, argv);
  } catch (const fathom::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
