#include "tensor/float8_blocks.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <limits>

namespace fathom {
namespace {

constexpr uint32_t kInfinity = 0x7f800000;

// The bits of the scale for a block whose largest magnitude has these bits.
float ScaleOf(uint32_t largest) {
  if (largest == 0) return 1;
  // Not a denormal, by which a thread that flushes them could not divide.
  return std::max(std::bit_cast<float>(largest) / E4M3::kLargest,
                  std::numeric_limits<float>::min());
}

}  // namespace

bool EncodeE4M3Blocks(ThreadPool& pool, ConstTensor x, int64_t rows, int64_t columns, E4M3* codes,
                      float* scales) {
  FATHOM_CHECK(x.rank() == 2 && x.contiguous() && rows > 0 && columns > 0);
  const int64_t n = x.dim(0), k = x.dim(1);
  const int64_t row_blocks = (n + rows - 1) / rows, column_blocks = (k + columns - 1) / columns;
  const float* data = x.data<float>();
  std::atomic<bool> finite{true};
  pool.ParallelFor(row_blocks * column_blocks, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t block = begin; block < end; ++block) {
      const int64_t row = block / column_blocks * rows, column = block % column_blocks * columns;
      const int64_t last = std::min(n, row + rows), width = std::min(columns, k - column);
      uint32_t largest = 0;
      for (int64_t r = row; r < last; ++r)
        largest = std::max(largest, LargestMagnitude(data + r * k + column, width));
      if (largest >= kInfinity) finite.store(false, std::memory_order_relaxed);
      const float scale = ScaleOf(largest);
      for (int64_t r = row; r < last; ++r)
        EncodeE4M3(data + r * k + column, scale, width, codes + r * k + column);
      scales[block] = scale;
    }
  });
  return finite.load();
}

}  // namespace fathom
