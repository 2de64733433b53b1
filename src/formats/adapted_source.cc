#include "formats/adapted_source.h"

#include <cmath>

namespace fathom {
namespace {

// y_j = w_j + sum_k b_k a_kj: one fused multiply-add in f32 for each k, ascending, then w: the
// order of Backend::Matmul. AVX2, which Fathom wants anyway, has the instruction; the library's
// function for it is slow.
__attribute__((target("avx2,fma"))) void AddProduct(const float* b, const float* a, int64_t rank,
                                                    int64_t columns, float* sum, float* w) {
  for (int64_t j = 0; j < columns; ++j) sum[j] = 0;
  for (int64_t k = 0; k < rank; ++k) {
    const float* a_row = a + k * columns;
    for (int64_t j = 0; j < columns; ++j) sum[j] = __builtin_fmaf(b[k], a_row[j], sum[j]);
  }
  for (int64_t j = 0; j < columns; ++j) w[j] += sum[j];
}

class AdaptedTensor : public StoredTensor {
 public:
  AdaptedTensor(const StoredTensor& base, const AdapterDirectory::Matrices& matrices, double scale)
      : StoredTensor(base.shape(), base.type(), base.bytes()),
        base_(base),
        rank_(matrices.a->shape()[0]),
        a_(static_cast<size_t>(matrices.a->shape().elements())),
        b_(static_cast<size_t>(matrices.b->shape().elements())) {
    matrices.a->Read(0, Tensor(a_.data(), DType::kF32, matrices.a->shape()));
    matrices.b->Read(0, Tensor(b_.data(), DType::kF32, matrices.b->shape()));
    for (float& value : b_) value *= static_cast<float>(scale);
  }

  void Read(int64_t begin, Tensor y) const override {
    const int64_t columns = shape()[1];
    std::vector<float> w(static_cast<size_t>(columns)), sum(w.size());
    const Tensor row(w.data(), DType::kF32, Shape({1, columns}));
    for (int64_t i = 0; i < y.dim(0); ++i) {
      base_.Read(begin + i, row);
      AddProduct(b_.data() + (begin + i) * rank_, a_.data(), rank_, columns, sum.data(), w.data());
      ConvertElements(row, y.Rows(i, i + 1));
    }
  }
  void Release() const override { base_.Release(); }

 private:
  const StoredTensor& base_;
  int64_t rank_;
  std::vector<float> a_, b_;  // b_: times the scale
};

}  // namespace

AdaptedSource::AdaptedSource(const ModelSource& base, const AdapterDirectory& adapter)
    : ModelSource(base.path(), base.config()), base_(base) {
  for (const auto& [weight, matrices] : adapter.matrices()) {
    merged_.emplace(weight,
                    std::make_unique<AdaptedTensor>(*base.Find(weight), matrices, adapter.scale()));
  }
}

const StoredTensor* AdaptedSource::Find(std::string_view name) const {
  const auto found = merged_.find(name);
  return found != merged_.end() ? found->second.get() : base_.Find(name);
}

}  // namespace fathom
