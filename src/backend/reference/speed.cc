#include <chrono>
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

}  // namespace fathom
