#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <limits>
#include <memory>
#include <numeric>
#include <vector>

#include "backend/cpu/coded.h"
#include "backend/cpu/cpu_backend.h"

namespace fathom {
namespace {

using Clock = std::chrono::steady_clock;

// The shortest of many rounds of work(), in seconds. Others use the machine too: a round is so
// short that some are not disturbed.
template <typename Work>
double BestSeconds(int rounds, Work work) {
  double best = std::numeric_limits<double>::infinity();
  for (int round = 0; round < rounds; ++round) {
    const auto start = Clock::now();
    work(round);
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
  constexpr int kRounds = 64;
  constexpr double kRoundWork = 5e7;  // FLOP: some hundred microseconds
  const bool coded = IsBlockCoded(dtype);
  const cpu::Element type = dtype == DType::kBF16 ? cpu::Element::kBF16 : cpu::Element::kF32;
  // A chunk of block-coded weights is decoded once for all rows of a block, and sums are stored
  // once a product: as many rows as a block has, and as much depth as weights have.
  const int64_t rows = coded ? 192 : cpu::StripRows(kernels_, type);
  const int64_t depth = coded ? 2048 : 256;
  const int64_t a_bytes =
      coded ? rows * kernels_.coded->row_bytes(cpu::BlocksOf(dtype), depth) : rows * depth * 4;
  const int64_t scratch_bytes = coded ? kernels_.coded->scratch_bytes(rows) : 0;
  const double product_work = 2.0 * static_cast<double>(rows * kernels_.panel * depth);
  const int repeats = std::max(1, static_cast<int>(kRoundWork / product_work));
  ThreadPool& pool = *context.pool;
  std::vector<OneProduct> products;
  for (int thread = 0; thread < pool.threads(); ++thread) {
    products.emplace_back(a_bytes, rows, kernels_.panel, depth, scratch_bytes);
  }
  // All at a time, each thread with rounds of its own: they share nothing.
  std::vector<double> speeds(products.size());
  pool.Run([&](int thread) {
    const OneProduct& product = products[static_cast<size_t>(thread)];
    const double seconds = BestSeconds(kRounds, [&](int) {
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
    speeds[static_cast<size_t>(thread)] = product_work * repeats / seconds;
  });
  return std::accumulate(speeds.begin(), speeds.end(), 0.0);
}

double CpuBackend::MeasureReadBandwidth(Context& context) {
  // Pieces of much more memory than caches hold; the threads share one way to it, so that they read
  // a piece together. The largest of floats is the operation that does least beside reading.
  constexpr int64_t kFloats = int64_t{64} << 20, kPiece = int64_t{4} << 20;
  constexpr int kPieces = static_cast<int>(kFloats / kPiece);
  constexpr int kRounds = 6 * kPieces;
  ThreadPool& pool = *context.pool;
  Arena arena(MemoryRole::kWorkspace);
  const Tensor data = arena.New(DType::kF32, Shape({kPieces, kPiece}));
  std::memset(data.raw(), 0, static_cast<size_t>(data.bytes()));  // pages that exist
  const int64_t share = kPiece / pool.threads();
  std::atomic<float> unused{0};
  const double seconds = BestSeconds(kRounds, [&](int round) {
    const float* piece = data.data<float>() + round % kPieces * kPiece;
    pool.Run([&](int thread) {
      unused.store(kernels_.max(piece + thread * share, share), std::memory_order_relaxed);
    });
  });
  return static_cast<double>(share * pool.threads()) * sizeof(float) / seconds;
}

}  // namespace fathom
