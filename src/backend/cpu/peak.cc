#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <limits>
#include <vector>

#include "backend/cpu/coded.h"
#include "backend/cpu/cpu_backend.h"

namespace fathom {
namespace {

using Clock = std::chrono::steady_clock;

// The shortest of several rounds of work(thread) on all threads, in seconds, because others use the
// machine too.
template <typename Work>
double BestSeconds(ThreadPool& pool, int rounds, Work work) {
  double best = std::numeric_limits<double>::infinity();
  for (int round = 0; round < rounds; ++round) {
    const auto start = Clock::now();
    pool.Run(work);
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  }
  return best;
}

}  // namespace

// One strip times one panel over and over, all in the first-level cache: the fastest that a matrix
// product can run.
double CpuBackend::MeasurePeakFlops(Context& context, DType dtype) {
  constexpr int64_t kDepth = 256;
  constexpr int kRepeats = 2000, kRounds = 8;
  const bool bf16 = dtype == DType::kBF16, coded = IsBlockCoded(dtype);
  // A chunk of the weights is decoded once for all strips of a block, here for eight of them.
  const int64_t rows = coded ? 96 : bf16 ? kernels_.strip_bf16 : kernels_.strip_f32;
  const int repeats = coded ? kRepeats / 8 : kRepeats;
  // Zeros, with room for the strip, the panel and the result of a thread each.
  const int64_t strip = rows * kDepth, panel = kernels_.panel * kDepth;
  ThreadPool& pool = *context.pool;
  std::vector<std::vector<float>> memory(
      static_cast<size_t>(pool.threads()),
      std::vector<float>(static_cast<size_t>(strip + panel + rows * kernels_.panel)));
  const double seconds = BestSeconds(pool, kRounds, [&](int thread) {
    float* at = memory[static_cast<size_t>(thread)].data();
    float* c = at + strip + panel;
    if (coded) {
      cpu::MultiplyCodedArgs args;
      args.type = cpu::BlocksOf(dtype);
      std::vector<std::byte> integers(
          static_cast<size_t>(rows * kernels_.coded->row_bytes(args.type, kDepth)));
      std::vector<std::byte> scratch(static_cast<size_t>(kernels_.coded->scratch_bytes(rows) + 64));
      args.a = integers.data();
      args.rows = rows;
      args.b = at + strip;
      args.columns = kernels_.panel;
      args.depth = kDepth;
      args.c = c;
      args.c_stride = kernels_.panel;
      args.scratch = scratch.data() + (64 - reinterpret_cast<uintptr_t>(scratch.data()) % 64);
      for (int i = 0; i < repeats; ++i) kernels_.coded->multiply(args);
      return;
    }
    cpu::MultiplyArgs args;
    args.type = bf16 ? cpu::Element::kBF16 : cpu::Element::kF32;
    args.a = at;
    args.rows = rows;
    args.b = at + strip;
    args.columns = kernels_.panel;
    args.depth = kDepth;
    args.c = c;
    args.c_stride = kernels_.panel;
    for (int i = 0; i < repeats; ++i) kernels_.multiply(args);
  });
  return 2.0 * static_cast<double>(rows * kernels_.panel * kDepth) * repeats * pool.threads() /
         seconds;
}

double CpuBackend::MeasureReadBandwidth(Context& context) {
  constexpr size_t kBytes = size_t{256} << 20;
  constexpr int kRounds = 4;
  ThreadPool& pool = *context.pool;
  Arena arena(MemoryRole::kWorkspace);
  const auto threads = static_cast<size_t>(pool.threads());
  const size_t share = kBytes / threads / 4096 * 4096;
  auto* data = static_cast<std::byte*>(arena.NewBytes(share * threads));
  std::memset(data, 1, share * threads);  // pages that exist
  std::atomic<uint64_t> unused{0};
  const double seconds = BestSeconds(pool, kRounds, [&](int thread) {
    const auto* words =
        reinterpret_cast<const uint64_t*>(data + static_cast<size_t>(thread) * share);
    uint64_t sum[8] = {};
    for (size_t i = 0; i < share / sizeof(uint64_t); i += 8) {
      for (size_t j = 0; j < 8; ++j) sum[j] ^= words[i + j];
    }
    for (const uint64_t part : sum) unused.fetch_xor(part, std::memory_order_relaxed);
  });
  return static_cast<double>(share * threads) / seconds;
}

}  // namespace fathom
