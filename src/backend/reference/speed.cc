#include <chrono>
#include <numeric>
#include <vector>

#include "backend/reference/reference_backend.h"

namespace fathom {

// This backend keeps nothing near: a small product as it computes every other.
double ReferenceBackend::MeasurePeakFlops(Context& context, DType dtype) {
  constexpr int64_t kSize = 32;
  std::vector<std::byte> a(kSize * kSize * SizeOf(dtype)), b = a, c = a;
  const Shape shape({kSize, kSize});
  const PackedMatrix packed{b.data(), b.size(), dtype, kSize, kSize};
  const MatmulProblem problem{ConstTensor(a.data(), dtype, shape), &packed,
                              Tensor(c.data(), dtype, shape)};
  const auto start = std::chrono::steady_clock::now();
  Matmul(context, {&problem, 1});
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  return 2.0 * kSize * kSize * kSize / seconds.count();
}

double ReferenceBackend::MeasureReadBandwidth(Context&) {
  const std::vector<uint64_t> words(size_t{1} << 23, 1);
  const auto start = std::chrono::steady_clock::now();
  const uint64_t sum = std::accumulate(words.begin(), words.end(), uint64_t{0});
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  FATHOM_CHECK(sum == words.size());
  return static_cast<double>(words.size() * sizeof(uint64_t)) / seconds.count();
}

}  // namespace fathom
