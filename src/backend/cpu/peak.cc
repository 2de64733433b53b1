#include <algorithm>
#include <chrono>
#include <vector>

#include "backend/cpu/cpu_backend.h"

namespace fathom {

// One strip times one panel over and over, all in the first-level cache: the fastest that a matrix
// product can run. The best of several rounds, because others use the machine too.
double CpuBackend::MeasurePeakFlops(Context& context, DType dtype) {
  using Clock = std::chrono::steady_clock;
  constexpr int64_t kDepth = 256;
  constexpr int kRepeats = 2000, kRounds = 8;
  const bool bf16 = dtype == DType::kBF16;
  const int64_t rows = bf16 ? kernels_.strip_bf16 : kernels_.strip_f32;
  // Zeros, with room for the strip, the panel and the result of a thread each.
  const int64_t strip = rows * kDepth, panel = kernels_.panel * kDepth;
  ThreadPool& pool = *context.pool;
  std::vector<std::vector<float>> memory(
      static_cast<size_t>(pool.threads()),
      std::vector<float>(static_cast<size_t>(strip + panel + rows * kernels_.panel)));
  double best = 0;
  for (int round = 0; round < kRounds; ++round) {
    const auto start = Clock::now();
    pool.Run([&](int thread) {
      float* at = memory[static_cast<size_t>(thread)].data();
      cpu::MultiplyArgs args;
      args.type = bf16 ? cpu::Element::kBF16 : cpu::Element::kF32;
      args.a = at;
      args.rows = rows;
      args.b = at + strip;
      args.columns = kernels_.panel;
      args.depth = kDepth;
      args.c = at + strip + panel;
      args.c_stride = kernels_.panel;
      for (int i = 0; i < kRepeats; ++i) kernels_.multiply(args);
    });
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    const double flops =
        2.0 * static_cast<double>(rows * kernels_.panel * kDepth) * kRepeats * pool.threads();
    best = std::max(best, flops / seconds);
  }
  return best;
}

}  // namespace fathom
