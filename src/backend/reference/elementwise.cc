#include <cmath>
#include <cstring>

#include "backend/reference/elements.h"
#include "backend/reference/reference_backend.h"

namespace fathom {

std::unique_ptr<Backend> CreateReferenceBackend() { return std::make_unique<ReferenceBackend>(); }

// ---- Memory

void ReferenceBackend::CopyFromHost(ConstTensor host, Tensor y) {
  CheckShape(host, y.shape(), "host");
  FATHOM_CHECK(host.dtype() == y.dtype() && host.contiguous() && y.contiguous());
  if (y.elements() > 0) std::memcpy(y.raw(), host.raw(), static_cast<size_t>(y.bytes()));
}

void ReferenceBackend::CopyToHost(ConstTensor x, Tensor host) { CopyFromHost(x, host); }

void ReferenceBackend::LoadRows(Context&, const StoredTensor& x, int64_t begin, Tensor y) {
  x.Read(begin, y);
}

// ---- Element-wise

void ReferenceBackend::Zero(Context&, Tensor y) {
  StoreAll(y, std::vector<double>(static_cast<size_t>(y.elements())));
}

void ReferenceBackend::Cast(Context&, ConstTensor x, Tensor y) {
  CheckShape(y, x.shape(), "y");
  StoreAll(y, LoadAll(x));
}

void ReferenceBackend::Add(Context&, ConstTensor x, Tensor y) {
  CheckShape(y, x.shape(), "y");
  const std::vector<double> from = LoadAll(x);
  std::vector<double> sum = LoadAll(y);
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += from[i];
  StoreAll(y, sum);
}

void ReferenceBackend::Lerp(Context&, ConstTensor x, double t, Tensor y) {
  CheckShape(y, x.shape(), "y");
  const std::vector<double> from = LoadAll(x);
  std::vector<double> average = LoadAll(y);
  for (size_t i = 0; i < average.size(); ++i) average[i] += t * (from[i] - average[i]);
  StoreAll(y, average);
}

// ---- Rows by index

void ReferenceBackend::GatherRows(Context&, ConstTensor x, ConstTensor index, Tensor y) {
  CheckShape(y, {index.dim(0), x.dim(1)}, "y");
  if (IsQuantized(x.dtype())) {
    FATHOM_CHECK(y.dtype() == x.dtype(), "{} into {}", Name(x.dtype()), Name(y.dtype()));
    for (int64_t r = 0; r < y.dim(0); ++r) {
      const ConstTensor from = x.Rows(LoadIndex(index, r), LoadIndex(index, r) + 1);
      std::memcpy(y.Rows(r, r + 1).raw(), from.raw(), static_cast<size_t>(from.bytes()));
    }
    return;
  }
  for (int64_t r = 0; r < y.dim(0); ++r) {
    const int32_t source = LoadIndex(index, r);
    for (int64_t j = 0; j < y.dim(1); ++j) Store(y, r, j, Load(x, source, j));
  }
}

void ReferenceBackend::GatherStoredRows(Context&, const StoredTensor& x, ConstTensor index,
                                        Tensor y) {
  CheckShape(y, {index.dim(0), x.shape()[1]}, "y");
  for (int64_t r = 0; r < y.dim(0); ++r) x.Read(LoadIndex(index, r), y.Rows(r, r + 1));
}

void ReferenceBackend::EmbeddingBackward(Context&, ConstTensor ids, ConstTensor dy, Tensor dtable) {
  CheckShape(dy, {ids.dim(0), dtable.dim(1)}, "dy");
  for (int64_t r = 0; r < dy.dim(0); ++r) {
    const int32_t id = LoadIndex(ids, r);
    for (int64_t j = 0; j < dy.dim(1); ++j) {
      Store(dtable, id, j, Load(dtable, id, j) + Load(dy, r, j));
    }
  }
}

// ---- SwiGLU

namespace {

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

void ReferenceBackend::SwiGlu(Context&, ConstTensor gate_up, Tensor y) {
  const int64_t rows = y.dim(0), d = y.dim(1);
  CheckShape(gate_up, {rows, 2 * d}, "gate_up");
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t j = 0; j < d; ++j) {
      const double gate = Load(gate_up, r, j), up = Load(gate_up, r, d + j);
      Store(y, r, j, gate * Sigmoid(gate) * up);
    }
  }
}

void ReferenceBackend::SwiGluBackward(Context&, ConstTensor dy, ConstTensor gate_up,
                                      ConstTensor row_weight, Tensor dgate_up, Tensor y,
                                      Tensor drow_weight) {
  const int64_t rows = dy.dim(0), d = dy.dim(1);
  CheckShape(gate_up, {rows, 2 * d}, "gate_up");
  CheckShape(dgate_up, {rows, 2 * d}, "dgate_up");
  if (!row_weight.empty()) CheckShape(row_weight, {rows}, "row_weight");
  if (!y.empty()) CheckShape(y, {rows, d}, "y");
  if (!drow_weight.empty()) CheckShape(drow_weight, {rows}, "drow_weight");
  for (int64_t r = 0; r < rows; ++r) {
    const double weight = row_weight.empty() ? 1 : Load(row_weight, r);
    double dweight = 0;
    for (int64_t j = 0; j < d; ++j) {
      const double gate = Load(gate_up, r, j), up = Load(gate_up, r, d + j);
      const double sigmoid = Sigmoid(gate), silu = gate * sigmoid;
      const double ds = weight * Load(dy, r, j);
      // silu'(g) = sigmoid(g) (1 + g (1 - sigmoid(g)))
      Store(dgate_up, r, j, ds * up * sigmoid * (1 + gate * (1 - sigmoid)));
      Store(dgate_up, r, d + j, ds * silu);
      if (!y.empty()) Store(y, r, j, weight * silu * up);
      dweight += Load(dy, r, j) * silu * up;
    }
    if (!drow_weight.empty()) Store(drow_weight, r, dweight);
  }
}

}  // namespace fathom
