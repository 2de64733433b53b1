#include "cli/machine_rates.h"

#include <chrono>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/thread_pool.h"
#include "infer/benchmark.h"

namespace fathom {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kSmallest = size_t{1} << 20, kLargest = size_t{256} << 20;

// Bytes a second at which all threads read `memory`'s first `bytes` bytes again and again, the
// median of several rounds.
BytesPerSecond ReadingRate(ThreadPool& pool, const std::vector<char>& memory, size_t bytes) {
  std::vector<size_t> found(static_cast<size_t>(pool.threads()) * 8);
  std::vector<double> rates;
  // Enough passes that starting the threads does not matter.
  const int passes = static_cast<int>(std::max<size_t>(1, (size_t{64} << 20) / bytes));
  constexpr int kRounds = 5;
  // The first brings the memory into the caches.
  for (int round = 0; round <= kRounds; ++round) {
    const auto start = Clock::now();
    for (int pass = 0; pass < passes; ++pass) {
      pool.ParallelFor(
          static_cast<int64_t>(bytes), 32768, [&](int64_t begin, int64_t end, int part) {
            // A search for what is not there is a read of everything.
            if (std::memchr(memory.data() + begin, 1, static_cast<size_t>(end - begin)) !=
                nullptr) {
              ++found[static_cast<size_t>(part) * 8];
            }
          });
    }
    const std::chrono::duration<double> elapsed = Clock::now() - start;
    if (round > 0) rates.push_back(static_cast<double>(bytes) * passes / elapsed.count());
  }
  for (const size_t count : found) FATHOM_CHECK(count == 0);
  return Bytes(Median(rates)) / Seconds(1);
}

}  // namespace

MachineRates MeasureRates(Context& context) {
  MachineRates rates;
  rates.bf16_peak = FlopsPerSecond(context.backend->MeasurePeakFlops(context, DType::kBF16));
  rates.f32_peak = FlopsPerSecond(context.backend->MeasurePeakFlops(context, DType::kF32));
  const std::vector<char> memory(kLargest, 0);
  for (size_t bytes = kSmallest; bytes <= kLargest; bytes *= 4) {
    rates.reading.push_back(
        {Bytes(static_cast<double>(bytes)), ReadingRate(*context.pool, memory, bytes)});
  }
  return rates;
}

}  // namespace fathom
