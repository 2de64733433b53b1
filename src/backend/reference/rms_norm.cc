#include <cmath>

#include "backend/reference/elements.h"
#include "backend/reference/reference_backend.h"

namespace fathom {

void ReferenceBackend::RmsNorm(Context&, ConstTensor x, ConstTensor gain, double eps, Tensor y,
                               Tensor inv_rms) {
  const int64_t rows = x.dim(0), d = x.dim(1);
  CheckShape(gain, {d}, "gain");
  CheckShape(y, {rows, d}, "y");
  if (!inv_rms.empty()) CheckShape(inv_rms, {rows}, "inv_rms");
  for (int64_t row = 0; row < rows; ++row) {
    double squares = 0;
    for (int64_t j = 0; j < d; ++j) squares += Load(x, row, j) * Load(x, row, j);
    const double r = 1 / std::sqrt(squares / static_cast<double>(d) + eps);
    for (int64_t j = 0; j < d; ++j) Store(y, row, j, Load(x, row, j) * r * Load(gain, j));
    if (!inv_rms.empty()) Store(inv_rms, row, r);
  }
}

void ReferenceBackend::RmsNormBackwardInput(Context&, ConstTensor dy, ConstTensor x,
                                            ConstTensor gain, ConstTensor inv_rms, bool accumulate,
                                            Tensor dx) {
  const int64_t rows = x.dim(0), d = x.dim(1);
  CheckShape(gain, {d}, "gain");
  CheckShape(dy, {rows, d}, "dy");
  CheckShape(dx, {rows, d}, "dx");
  CheckShape(inv_rms, {rows}, "inv_rms");
  for (int64_t row = 0; row < rows; ++row) {
    const double r = Load(inv_rms, row);
    double mean = 0;  // of g dy x
    for (int64_t j = 0; j < d; ++j) mean += Load(gain, j) * Load(dy, row, j) * Load(x, row, j);
    mean /= static_cast<double>(d);
    for (int64_t j = 0; j < d; ++j) {
      const double gradient =
          r * Load(gain, j) * Load(dy, row, j) - Load(x, row, j) * r * r * r * mean;
      Store(dx, row, j, accumulate ? Load(dx, row, j) + gradient : gradient);
    }
  }
}

void ReferenceBackend::RmsNormBackwardWeight(Context&, ConstTensor dy, ConstTensor x,
                                             ConstTensor inv_rms, Tensor dgain) {
  const int64_t rows = x.dim(0), d = x.dim(1);
  CheckShape(dy, {rows, d}, "dy");
  CheckShape(inv_rms, {rows}, "inv_rms");
  CheckShape(dgain, {d}, "dgain");
  for (int64_t j = 0; j < d; ++j) {
    double sum = 0;
    for (int64_t row = 0; row < rows; ++row) {
      sum += Load(dy, row, j) * Load(x, row, j) * Load(inv_rms, row);
    }
    Store(dgain, j, Load(dgain, j) + sum);
  }
}

}  // namespace fathom
