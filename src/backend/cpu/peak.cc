#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <limits>
#include <memory>
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

// A block of rows times one panel over and over, all in the nearest cache: the fastest that a
// matrix product can run. The operands are zeros.
class OneProduct {
 public:
  OneProduct(int64_t a_bytes, int64_t rows, int64_t columns, int64_t depth, int64_t scratch_bytes)
      : rows_(rows), columns_(columns), depth_(depth) {
    const auto lay_out = [&](void* at) {
      cpu::Scratch memory(at);
      a_ = memory.Take<std::byte>(a_bytes);
      b_ = memory.Take<float>(columns * depth);
      c_ = memory.Take<float>(rows * columns);
      scratch_ = memory.Take<std::byte>(scratch_bytes);
      return memory.bytes();
    };
    const int64_t bytes = lay_out(nullptr);
    auto* data = static_cast<std::byte*>(arena_->NewBytes(static_cast<size_t>(bytes)));
    std::memset(data, 0, static_cast<size_t>(bytes));
    lay_out(data);
  }

  // MultiplyArgs or MultiplyCodedArgs; the types are the caller's.
  template <typename T>
  T Args() const {
    T args;
    args.a = a_;
    args.rows = rows_;
    args.b = b_;
    args.columns = columns_;
    args.depth = depth_;
    args.c = c_;
    args.c_stride = columns_;
    return args;
  }
  void* scratch() const { return scratch_; }

 private:
  std::unique_ptr<Arena> arena_ = std::make_unique<Arena>(MemoryRole::kWorkspace);
  int64_t rows_, columns_, depth_;
  std::byte* a_ = nullptr;
  float *b_ = nullptr, *c_ = nullptr;
  std::byte* scratch_ = nullptr;
};

}  // namespace

double CpuBackend::MeasurePeakFlops(Context& context, DType dtype) {
  constexpr int64_t kDepth = 256;
  constexpr int kRounds = 8;
  const bool coded = IsBlockCoded(dtype);
  const cpu::Element type = dtype == DType::kBF16 ? cpu::Element::kBF16 : cpu::Element::kF32;
  // A chunk of block-coded weights is decoded once for all strips of a block, here for eight of
  // them.
  const int64_t rows = coded ? 96 : cpu::StripRows(kernels_, type);
  const int repeats = coded ? 250 : 2000;
  const int64_t a_bytes =
      coded ? rows * kernels_.coded->row_bytes(cpu::BlocksOf(dtype), kDepth) : rows * kDepth * 4;
  const int64_t scratch_bytes = coded ? kernels_.coded->scratch_bytes(rows) : 0;
  ThreadPool& pool = *context.pool;
  std::vector<OneProduct> products;
  for (int thread = 0; thread < pool.threads(); ++thread) {
    products.emplace_back(a_bytes, rows, kernels_.panel, kDepth, scratch_bytes);
  }
  const double seconds = BestSeconds(pool, kRounds, [&](int thread) {
    const OneProduct& product = products[static_cast<size_t>(thread)];
    if (coded) {
      auto args = product.Args<cpu::MultiplyCodedArgs>();
      args.type = cpu::BlocksOf(dtype);
      args.scratch = product.scratch();
      for (int i = 0; i < repeats; ++i) kernels_.coded->multiply(args);
    } else {
      auto args = product.Args<cpu::MultiplyArgs>();
      args.type = type;
      for (int i = 0; i < repeats; ++i) kernels_.multiply(args);
    }
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
