// Speed of the CPU backend's operations at the shapes that training and decoding use, beside the
// peak of this machine (the first two rows): GFLOP/s or GB/s, over all threads.
//
//   fathom_kernels_bench [--benchmark_filter=...]     threads: FATHOM_BENCH_THREADS, default all
//                                                     FATHOM_BENCH_AVX2=1: the AVX2 kernels
//
// With one thread the clock is that thread's own processor time, which other work on the machine
// disturbs little.

#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "base/random.h"
#include "base/thread_pool.h"
#include "tensor/arena.h"

namespace fathom {
namespace {

int Threads() {
  const char* threads = std::getenv("FATHOM_BENCH_THREADS");
  return threads ? std::max(1, std::atoi(threads)) : ThreadPool::AvailableProcessors();
}

void Clock(benchmark::internal::Benchmark* bench) {
  if (Threads() > 1) bench->UseRealTime();
}

CpuTarget Target() {
  return std::getenv("FATHOM_BENCH_AVX2") ? CpuTarget::kAvx2 : CpuTarget::kBest;
}

struct Machine {
  std::unique_ptr<Backend> backend = CreateCpuBackend(Target());
  ThreadPool pool{Threads()};
  Arena workspace{MemoryRole::kWorkspace};
  Arena memory{MemoryRole::kSaved};
  Context context;
  RandomStream random{1};

  Machine() { context = {backend.get(), &pool, &workspace}; }

  Tensor Random(DType dtype, const Shape& shape) {
    const Tensor values = memory.New(DType::kF32, shape);
    for (float& value : values.span<float>()) {
      value = static_cast<float>(random.NextUniform()) - 0.5f;
    }
    if (dtype == DType::kF32) return values;
    const Tensor result = memory.New(dtype, shape);
    backend->Cast(context, values, result);
    return result;
  }
  PackedMatrix Packed(DType dtype, int64_t n, int64_t k) {
    PackedMatrix packed{nullptr, backend->PackedBytes(dtype, n, k), dtype, n, k};
    packed.data = memory.NewBytes(packed.bytes);
    const ConstTensor matrix = Random(dtype, {n, k});
    const WeightPart part(matrix);
    backend->Pack(context, {&part, 1}, false, packed);
    return packed;
  }
};

constexpr DType kPeakTypes[] = {DType::kBF16, DType::kF32, DType::kQ8_0,
                                DType::kQ4_0, DType::kQ4K, DType::kQ6K};

DType TypeOf(int64_t bf16) { return bf16 ? DType::kBF16 : DType::kF32; }

void Report(benchmark::State& state, double flops) {
  state.counters["GFLOP/s"] = benchmark::Counter(
      flops * 1e-9, benchmark::Counter::kIsIterationInvariantRate, benchmark::Counter::kIs1000);
}
void ReportBytes(benchmark::State& state, double bytes) {
  state.counters["GB/s"] = benchmark::Counter(
      bytes * 1e-9, benchmark::Counter::kIsIterationInvariantRate, benchmark::Counter::kIs1000);
}

// The fastest that a product can run, as training's utilisation counts it.
void Peak(benchmark::State& state) {
  Machine machine;
  const DType type = kPeakTypes[state.range(0)];
  state.SetLabel(std::string(Name(type)));
  double flops = 0;
  for (auto _ : state) flops = machine.backend->MeasurePeakFlops(machine.context, type);
  state.counters["GFLOP/s"] = flops * 1e-9;
}
BENCHMARK(Peak)->ArgName("type")->DenseRange(0, std::ssize(kPeakTypes) - 1)->Apply(Clock);

void ReadBandwidth(benchmark::State& state) {
  Machine machine;
  double bandwidth = 0;
  for (auto _ : state) bandwidth = machine.backend->MeasureReadBandwidth(machine.context);
  state.counters["GB/s"] = bandwidth * 1e-9;
}
BENCHMARK(ReadBandwidth)->Apply(Clock);

// With weights in blocks of codes, packed.
void MatmulCoded(benchmark::State& state) {
  const DType type = kPeakTypes[state.range(0)];
  const int64_t m = state.range(1), n = state.range(2), k = state.range(3);
  state.SetLabel(std::string(Name(type)));
  Machine machine;
  PackedMatrix b{nullptr, machine.backend->PackedBytes(type, n, k), type, n, k};
  b.data = machine.memory.NewBytes(b.bytes);
  std::memset(b.data, 1, b.bytes);
  const Tensor a = machine.Random(DType::kBF16, {m, k}), c = machine.Random(DType::kBF16, {m, n});
  const MatmulProblem problem{a, &b, c};
  for (auto _ : state) machine.backend->Matmul(machine.context, {&problem, 1});
  Report(state, 2.0 * static_cast<double>(m * n * k));
}
BENCHMARK(MatmulCoded)
    ->ArgNames({"type", "m", "n", "k"})
    ->ArgsProduct({{2, 3, 4, 5}, {1, 16, 48, 512}, {2816}, {2048}})
    ->ArgsProduct({{2, 3, 4, 5}, {1, 2, 4, 8, 16}, {102400}, {2048}})
    ->Apply(Clock);

void Matmul(benchmark::State& state) {
  const int64_t m = state.range(0), n = state.range(1), k = state.range(2);
  const DType type = TypeOf(state.range(3));
  Machine machine;
  const PackedMatrix b = machine.Packed(type, n, k);
  const Tensor a = machine.Random(type, {m, k}), c = machine.Random(type, {m, n});
  const MatmulProblem problem{a, &b, c};
  for (auto _ : state) machine.backend->Matmul(machine.context, {&problem, 1});
  Report(state, 2.0 * static_cast<double>(m * n * k));
}
BENCHMARK(Matmul)
    ->ArgNames({"m", "n", "k", "bf16"})
    ->ArgsProduct({{1, 8, 64, 1024}, {4096}, {2048}, {1, 0}})
    ->ArgsProduct({{1, 2, 4, 8, 16}, {102400}, {2048}, {1}})
    ->ArgsProduct({{1, 4096}, {1408}, {256}, {1}})
    ->ArgsProduct({{4096}, {256}, {704}, {1}})
    ->ArgsProduct({{4096}, {4096}, {256}, {1}})
    ->ArgsProduct({{4096}, {256}, {4096}, {1}})
    ->ArgsProduct({{4096}, {192}, {96}, {1}})
    ->ArgsProduct({{4608}, {4096}, {512}, {1}})  // latents of lite8 expanded
    ->Apply(Clock);

// `experts` matrices over m rows each.
void MatmulGrouped(benchmark::State& state) {
  const int64_t experts = state.range(0), m = state.range(1), n = state.range(2),
                k = state.range(3);
  Machine machine;
  std::vector<PackedMatrix> b;
  std::vector<MatmulProblem> problems;
  for (int64_t e = 0; e < experts; ++e) b.push_back(machine.Packed(DType::kBF16, n, k));
  const Tensor a = machine.Random(DType::kBF16, {experts * m, k});
  const Tensor c = machine.Random(DType::kBF16, {experts * m, n});
  for (int64_t e = 0; e < experts; ++e) {
    problems.push_back(
        {a.Rows(e * m, (e + 1) * m), &b[static_cast<size_t>(e)], c.Rows(e * m, (e + 1) * m)});
  }
  for (auto _ : state) machine.backend->Matmul(machine.context, problems);
  Report(state, 2.0 * static_cast<double>(experts * m * n * k));
}
BENCHMARK(MatmulGrouped)
    ->ArgNames({"experts", "m", "n", "k"})
    ->Args({16, 512, 256, 256})
    ->Args({16, 512, 256, 128})
    ->Args({16, 2, 256, 256})
    ->Apply(Clock);

void WeightGradient(benchmark::State& state) {
  const int64_t problems_count = state.range(0), tokens = state.range(1), n = state.range(2),
                k = state.range(3);
  const DType type = TypeOf(state.range(4));
  Machine machine;
  std::vector<WeightGradientProblem> problems;
  for (int64_t i = 0; i < problems_count; ++i) {
    problems.push_back({machine.Random(type, {tokens, n}), machine.Random(type, {tokens, k}),
                        machine.Random(DType::kF32, {n, k})});
  }
  for (auto _ : state) machine.backend->MatmulBackwardWeight(machine.context, problems);
  Report(state, 2.0 * static_cast<double>(problems_count * tokens * n * k));
}
BENCHMARK(WeightGradient)
    ->ArgNames({"problems", "tokens", "n", "k", "bf16"})
    ->Args({1, 1, 768, 128, 1})
    ->Args({1, 8, 768, 128, 1})
    ->Args({1, 4096, 1408, 256, 1})
    ->Args({1, 4096, 256, 704, 1})
    ->Args({1, 4096, 4096, 256, 1})
    ->Args({1, 4096, 4096, 256, 0})
    ->Args({16, 512, 256, 256, 1})
    ->Args({16, 512, 256, 128, 1})
    ->Apply(Clock);

void Pack(benchmark::State& state) {
  const DType type = TypeOf(state.range(1));
  Machine machine;
  const PackedMatrix packed = machine.Packed(type, 4096, 2048);
  const bool transposed = state.range(0) != 0;
  const ConstTensor matrix = machine.Random(DType::kF32, {4096, 2048});
  const ConstTensor source = transposed ? matrix.Reshape({2048, 4096}) : matrix;
  const WeightPart part(source);
  for (auto _ : state) machine.backend->Pack(machine.context, {&part, 1}, transposed, packed);
  ReportBytes(state, static_cast<double>(matrix.bytes()) + static_cast<double>(packed.bytes));
}
BENCHMARK(Pack)->ArgNames({"transposed", "bf16"})->ArgsProduct({{0, 1}, {1, 0}})->Apply(Clock);

struct AttentionInputs {
  Machine machine;
  int64_t sequences, length, heads, kv_heads, d_qk, d_v;
  Tensor q, keys, values, out, lse;
  std::vector<KeyBlock> blocks;
  std::vector<AttentionSequence> batch;
  double scale;

  // `queries` at the end of each sequence; sequences x length keys.
  AttentionInputs(const benchmark::State& state, int64_t queries)
      : sequences(state.range(0)),
        length(state.range(1)),
        heads(state.range(2)),
        kv_heads(state.range(3)),
        d_qk(state.range(4)),
        d_v(state.range(5)) {
    q = machine.Random(DType::kBF16, {sequences * queries, heads, d_qk});
    keys = machine.Random(DType::kBF16, {sequences * length, kv_heads, d_qk});
    values = kv_heads == 1 ? keys.Columns(0, d_v)
                           : machine.Random(DType::kBF16, {sequences * length, kv_heads, d_v});
    out = machine.Random(DType::kBF16, {sequences * queries, heads, d_v});
    lse = machine.Random(DType::kF32, {sequences * queries, heads});
    scale = 1 / std::sqrt(static_cast<double>(d_qk));
    for (int64_t s = 0; s < sequences; ++s) {
      blocks.push_back(
          {keys.Rows(s * length, (s + 1) * length), values.Rows(s * length, (s + 1) * length)});
    }
    for (int64_t s = 0; s < sequences; ++s) {
      batch.push_back(
          {s * queries, queries, length - queries, {&blocks[static_cast<size_t>(s)], 1}});
    }
  }
  double Pairs(int64_t queries) const {
    const auto first = static_cast<double>(length - queries), n = static_cast<double>(queries);
    return static_cast<double>(sequences * heads) * n * (first + (n + 1) / 2);
  }
};

void AttentionForward(benchmark::State& state) {
  const int64_t queries = state.range(6);
  AttentionInputs in(state, queries);
  for (auto _ : state) {
    in.machine.backend->Attention(in.machine.context, in.q, in.batch, in.scale, in.out, in.lse);
  }
  Report(state, 2 * in.Pairs(queries) * static_cast<double>(in.d_qk + in.d_v));
}
BENCHMARK(AttentionForward)
    ->ArgNames({"sequences", "length", "heads", "kv", "d_qk", "d_v", "queries"})
    ->Args({16, 512, 6, 6, 96, 64, 512})  // small
    ->Args({8, 512, 4, 4, 48, 32, 512})
    ->Args({8, 512, 4, 1, 80, 64, 512})
    ->Args({1, 4096, 16, 16, 192, 128, 4096})
    // A piece of a prompt of lite8 at depth 0 and behind 4096 tokens, expanded and absorbed.
    ->Args({1, 512, 16, 16, 192, 128, 512})
    ->Args({1, 512, 16, 1, 576, 512, 512})
    ->Args({1, 4608, 16, 16, 192, 128, 512})
    ->Args({1, 4608, 16, 1, 576, 512, 512})
    // Decoded tokens of nano, tiny8 and lite8, as few as have their keys in a cache...
    ->Args({8, 1024, 4, 1, 80, 64, 1})
    ->Args({1, 4096, 8, 1, 160, 128, 1})
    ->Args({1, 4096, 16, 1, 576, 512, 1})
    // ... and as many as have them in memory.
    ->Args({16, 4096, 16, 1, 576, 512, 1})
    ->Args({64, 4096, 8, 1, 160, 128, 1})
    ->Args({512, 1024, 4, 1, 80, 64, 1})
    ->Apply(Clock);

void AttentionBackward(benchmark::State& state) {
  AttentionInputs in(state, state.range(1));
  Machine& machine = in.machine;
  machine.backend->Attention(machine.context, in.q, in.batch, in.scale, in.out, in.lse);
  const Tensor dout = machine.Random(DType::kBF16, in.out.shape());
  const Tensor dq = machine.Random(DType::kBF16, in.q.shape());
  const Tensor dk = machine.Random(DType::kBF16, in.keys.shape());
  const Tensor dv = machine.Random(DType::kBF16, in.values.shape());
  for (auto _ : state) {
    machine.backend->AttentionBackward(machine.context, dout, in.q, in.batch, in.scale, in.out,
                                       in.lse, dq, dk, dv);
  }
  Report(state, 2 * in.Pairs(in.length) * static_cast<double>(3 * in.d_qk + 2 * in.d_v));
}
BENCHMARK(AttentionBackward)
    ->ArgNames({"sequences", "length", "heads", "kv", "d_qk", "d_v"})
    ->Args({16, 512, 6, 6, 96, 64})  // small
    ->Args({8, 512, 4, 4, 48, 32})
    ->Args({8, 512, 4, 1, 80, 64})
    ->Args({1, 512, 4, 1, 80, 64})
    ->Apply(Clock);

void RmsNorm(benchmark::State& state) {
  Machine machine;
  const Tensor x = machine.Random(DType::kBF16, {4096, state.range(0)});
  const Tensor y = machine.Random(DType::kBF16, {4096, state.range(0)});
  const Tensor gain = machine.Random(DType::kF32, {state.range(0)});
  const Tensor r = machine.Random(DType::kF32, {4096});
  for (auto _ : state) machine.backend->RmsNorm(machine.context, x, gain, 1e-6, y, r);
  ReportBytes(state, static_cast<double>(2 * x.bytes()));
}
BENCHMARK(RmsNorm)->ArgName("d")->Arg(256)->Arg(2048)->Apply(Clock);

void RmsNormBackward(benchmark::State& state) {
  Machine machine;
  const Tensor x = machine.Random(DType::kBF16, {4096, state.range(0)});
  const Tensor dy = machine.Random(DType::kBF16, {4096, state.range(0)});
  const Tensor dx = machine.Random(DType::kBF16, {4096, state.range(0)});
  const Tensor gain = machine.Random(DType::kF32, {state.range(0)});
  const Tensor r = machine.Random(DType::kF32, {4096});
  for (auto _ : state) {
    machine.backend->RmsNormBackwardInput(machine.context, dy, x, gain, r, true, dx);
    machine.backend->RmsNormBackwardWeight(machine.context, dy, x, r, gain);
  }
  ReportBytes(state, static_cast<double>(6 * x.bytes()));
}
BENCHMARK(RmsNormBackward)->ArgName("d")->Arg(256)->Apply(Clock);

void SwiGlu(benchmark::State& state) {
  Machine machine;
  const Tensor x = machine.Random(DType::kBF16, {8192, 256});
  const Tensor y = machine.Random(DType::kBF16, {8192, 128});
  const Tensor dx = machine.Random(DType::kBF16, {8192, 256});
  const bool backward = state.range(0) != 0;
  for (auto _ : state) {
    if (backward) {
      machine.backend->SwiGluBackward(machine.context, y, x, {}, dx, {}, {});
    } else {
      machine.backend->SwiGlu(machine.context, x, y);
    }
  }
  ReportBytes(state, static_cast<double>(backward ? 5 * y.bytes() : 3 * y.bytes()));
}
BENCHMARK(SwiGlu)->ArgName("backward")->Arg(0)->Arg(1)->Apply(Clock);

void LogProb(benchmark::State& state) {
  Machine machine;
  constexpr int64_t kRows = 1024;
  const int64_t vocabulary = state.range(0);
  const Tensor logits = machine.Random(DType::kF32, {kRows, vocabulary});
  const Tensor dlogits = machine.Random(DType::kBF16, {kRows, vocabulary});
  const Tensor targets = machine.memory.New(DType::kI32, {kRows});
  const Tensor logprob = machine.Random(DType::kF32, {kRows}),
               lse = machine.Random(DType::kF32, {kRows});
  for (int32_t& target : targets.span<int32_t>()) target = 7;
  const bool backward = state.range(1) != 0;
  machine.backend->LogProb(machine.context, logits, 1, targets, logprob, lse);
  for (auto _ : state) {
    if (backward) {
      machine.backend->LogProbBackward(machine.context, logprob, logits, 1, targets, lse, dlogits);
    } else {
      machine.backend->LogProb(machine.context, logits, 1, targets, logprob, lse);
    }
  }
  ReportBytes(state,
              static_cast<double>(backward ? logits.bytes() + dlogits.bytes() : logits.bytes()));
}
BENCHMARK(LogProb)
    ->ArgNames({"vocabulary", "backward"})
    ->ArgsProduct({{4096, 16384}, {0, 1}})
    ->Apply(Clock);

void AdamW(benchmark::State& state) {
  Machine machine;
  const Shape shape{8 << 20};
  const AdamWArgs args{machine.Random(DType::kF32, shape), machine.Random(DType::kF32, shape),
                       machine.Random(DType::kBF16, shape), machine.Random(DType::kBF16, shape),
                       1e-3};
  for (auto _ : state) machine.backend->AdamW(machine.context, args);
  ReportBytes(state, 20.0 * static_cast<double>(shape.elements()));
}
BENCHMARK(AdamW)->Apply(Clock);

}  // namespace
}  // namespace fathom

BENCHMARK_MAIN();
