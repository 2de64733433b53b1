#include "tensor/stored_tensor.h"

#include <algorithm>
#include <cstring>

#include "tensor/vector_avx2.h"

namespace fathom {
namespace {

// What of [0, count) the vector loop has done.
template <typename From, typename To>
FATHOM_AVX2 int64_t ConvertVectors(const From* x, To* y, int64_t count) {
  int64_t i = 0;
  for (; i + avx2::kLanes <= count; i += avx2::kLanes) avx2::Store(avx2::Load(x + i), y + i);
  return i;
}
template <typename To>
int64_t ConvertVectors(const double*, To*, int64_t) {
  return 0;
}

template <typename From, typename To>
void ConvertSpan(const From* x, To* y, int64_t count) {
  int64_t i = avx2::Available() ? ConvertVectors(x, y, count) : 0;
  for (; i < count; ++i) y[i] = static_cast<To>(static_cast<float>(x[i]));
}

}  // namespace

void ReadRows(ThreadPool& pool, const StoredTensor& x, int64_t begin, Tensor y) {
  constexpr int64_t kGrainElements = int64_t{1} << 14;
  const int64_t row = std::max<int64_t>(1, y.elements() / std::max<int64_t>(1, y.dim(0)));
  const int64_t grain = std::max<int64_t>(1, kGrainElements / row);
  pool.ParallelFor(y.dim(0), grain, [&](int64_t first, int64_t end, int) {
    x.Read(begin + first, y.Rows(first, end));
  });
}

void ConvertElements(ConstTensor x, Tensor y) {
  FATHOM_CHECK(x.shape() == y.shape() && x.contiguous() && y.contiguous());
  const int64_t count = x.elements();
  if (x.dtype() == y.dtype()) {
    std::memcpy(y.raw(), x.raw(), static_cast<size_t>(x.bytes()));
    return;
  }
  const auto from = [&](const auto* source) {
    if (y.dtype() == DType::kF64) {
      ConvertSpan(source, y.data<double>(), count);
    } else if (y.dtype() == DType::kF32) {
      ConvertSpan(source, y.data<float>(), count);
    } else {
      ConvertSpan(source, y.data<BF16>(), count);
    }
  };
  if (x.dtype() == DType::kF64) {
    from(x.data<double>());
  } else if (x.dtype() == DType::kF32) {
    from(x.data<float>());
  } else {
    from(x.data<BF16>());
  }
}

}  // namespace fathom
