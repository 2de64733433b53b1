#include <algorithm>
#include <cmath>

#include "backend/reference/elements.h"
#include "backend/reference/reference_backend.h"
#include "tensor/quantize.h"

namespace fathom {
namespace {

// Here a packed matrix is the matrix itself; one of codes holds its values as doubles, in which
// code times scale is exact.
DType PackedType(DType dtype) {
  return IsQuantized(dtype) || IsBlockCoded(dtype) ? DType::kF64 : dtype;
}

Tensor AsTensor(const PackedMatrix& packed) {
  return {packed.data, PackedType(packed.dtype), {packed.n, packed.k}};
}

// Row i of an operand.
std::vector<double> LoadRow(const MatrixRows& x, int64_t i) {
  if (!x.index().empty()) i = static_cast<int64_t>(Load(x.index(), i));
  FATHOM_CHECK(i >= 0 && i < x.matrix().dim(0), "row {} of {}", i, x.matrix().dim(0));
  return fathom::LoadRow(x.matrix(), i);
}

float Magnitude(const MatrixRows& x) {
  if (x.index().empty() || IsQuantized(x.dtype())) return TensorMagnitude(x.matrix());
  std::vector<double> largest;
  for (int64_t i = 0; i < x.rows(); ++i) {
    largest.push_back(static_cast<double>(LargestMagnitude(LoadRow(x, i))));
  }
  return LargestMagnitude(largest);
}

void CheckColumns(const MatrixRows& x, int64_t columns, const char* name) {
  FATHOM_CHECK(x.columns() == columns, "{} has {} columns, expected {}", name, x.columns(),
               columns);
}

// Rounds the elements of each square of kScaleTile, which share a scale.
void RoundSquares(DType dtype, const Tensor& matrix) {
  const float at_least = dtype == DType::kE4M3Tensor ? TensorMagnitude(matrix) : 0;
  for (int64_t row = 0; row < matrix.dim(0); row += kScaleTile) {
    for (int64_t column = 0; column < matrix.dim(1); column += kScaleTile) {
      const Tensor square = matrix.Rows(row, std::min(matrix.dim(0), row + kScaleTile))
                                .Columns(column, std::min(matrix.dim(1), column + kScaleTile));
      std::vector<double> values = LoadAll(square);
      const float scale = TileScale(dtype, LargestMagnitude({LargestMagnitude(values), at_least}));
      for (double& value : values) {
        value = static_cast<double>(RoundToCode(dtype, static_cast<float>(value), scale)) *
                static_cast<double>(scale);
      }
      StoreAll(square, values);
    }
  }
}

// The same for tiles of rows in a column: the 128 x 1 tiles of weight gradients.
void RoundColumns(std::vector<std::vector<double>>& rows, float at_least) {
  if (rows.empty()) return;
  for (size_t j = 0; j < rows[0].size(); ++j) {
    std::vector<double> column;
    for (const auto& row : rows) column.push_back(row[j]);
    column = RoundToTiles(DType::kE4M3Ue8m0, column, at_least);
    for (size_t i = 0; i < rows.size(); ++i) rows[i][j] = column[i];
  }
}

// A row as products with block-coded weights take it.
std::vector<double> RoundToIntegers(DType weights, std::vector<double> row) {
  const auto block = static_cast<size_t>(ActivationBlock(weights));
  for (size_t begin = 0; begin < row.size(); begin += block) {
    const size_t end = std::min(row.size(), begin + block);
    float largest = 0;
    for (size_t j = begin; j < end; ++j) {
      const float magnitude = std::abs(static_cast<float>(row[j]));
      if (!(magnitude <= largest)) largest = magnitude;
    }
    const float scale = IntegerScale(largest);
    for (size_t j = begin; j < end; ++j) {
      row[j] = RoundToInteger(static_cast<float>(row[j]), scale) * static_cast<double>(scale);
    }
  }
  return row;
}

// The rows of a part, decoded.
std::vector<std::vector<double>> RowsOf(const WeightPart& part) {
  std::vector<std::vector<double>> rows;
  const int64_t columns = part.columns();
  std::vector<double> values(static_cast<size_t>(columns));
  for (int64_t i = 0; i < part.rows(); ++i) {
    if (part.value.empty()) {
      part.stored->Read(part.begin + i, Tensor(values.data(), DType::kF64, Shape({1, columns})));
      rows.push_back(values);
    } else {
      rows.push_back(LoadRow(part.value, i));
    }
  }
  return rows;
}

double Dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

size_t ReferenceBackend::PackedBytes(DType dtype, int64_t n, int64_t k) const {
  return static_cast<size_t>(n * k) * SizeOf(PackedType(dtype));
}

void ReferenceBackend::Pack(Context&, std::span<const WeightPart> parts, bool transposed,
                            const PackedMatrix& packed) {
  FATHOM_CHECK(packed.bytes >= PackedBytes(packed.dtype, packed.n, packed.k), "{} bytes",
               packed.bytes);
  const Tensor matrix = AsTensor(packed);
  int64_t stacked = 0;  // rows of the parts so far
  bool coded = true;
  for (const WeightPart& part : parts) {
    FATHOM_CHECK(part.columns() == (transposed ? packed.n : packed.k), "a part of {} columns",
                 part.columns());
    coded = coded && part.value.empty() &&
            part.stored->CodeType(part.begin, part.end, transposed) == packed.dtype;
    for (const std::vector<double>& row : RowsOf(part)) {
      for (int64_t j = 0; j < part.columns(); ++j) {
        const double value = row[static_cast<size_t>(j)];
        transposed ? Store(matrix, j, stacked, value) : Store(matrix, stacked, j, value);
      }
      ++stacked;
    }
  }
  FATHOM_CHECK(stacked == (transposed ? packed.k : packed.n), "parts have {} rows", stacked);
  FATHOM_CHECK(coded || !IsBlockCoded(packed.dtype), "{} of something else", Name(packed.dtype));
  if (IsQuantized(packed.dtype) && !coded) RoundSquares(packed.dtype, matrix);
}

void ReferenceBackend::Matmul(Context&, std::span<const MatmulProblem> problems) {
  for (const MatmulProblem& problem : problems) {
    const int64_t m = problem.a.rows(), n = problem.b->n, k = problem.b->k;
    CheckColumns(problem.a, k, "a");
    CheckShape(problem.c, {m, n}, "c");
    if (m == 0) continue;
    std::vector<std::vector<double>> b_rows;
    for (int64_t j = 0; j < n; ++j) b_rows.push_back(LoadRow(AsTensor(*problem.b), j));
    const float at_least = problem.b->dtype == DType::kE4M3Tensor ? Magnitude(problem.a) : 0;
    for (int64_t i = 0; i < m; ++i) {
      std::vector<double> a_row = LoadRow(problem.a, i);
      if (IsBlockCoded(problem.b->dtype)) {
        a_row = RoundToIntegers(problem.b->dtype, std::move(a_row));
      } else if (!IsQuantized(problem.b->dtype)) {
        for (double& value : a_row) value = RoundTo(problem.b->dtype, value);
      } else if (!IsQuantized(problem.a.dtype())) {
        a_row = RoundToTiles(problem.b->dtype, a_row, at_least);
      }
      for (int64_t j = 0; j < n; ++j) {
        const double product = Dot(a_row, b_rows[static_cast<size_t>(j)]);
        Store(problem.c, i, j, problem.accumulate ? Load(problem.c, i, j) + product : product);
      }
    }
  }
}

void ReferenceBackend::MatmulBackwardWeight(Context&,
                                            std::span<const WeightGradientProblem> problems) {
  for (const WeightGradientProblem& problem : problems) {
    const int64_t tokens = problem.dy.rows(), n = problem.dw.dim(0), k = problem.dw.dim(1);
    CheckColumns(problem.dy, n, "dy");
    CheckColumns(problem.x, k, "x");
    FATHOM_CHECK(problem.x.rows() == tokens, "{} rows of x, {} of dy", problem.x.rows(), tokens);
    std::vector<double> dw(static_cast<size_t>(n * k));
    std::vector<std::vector<double>> dy_rows, x_rows;
    for (int64_t t = 0; t < tokens; ++t) {
      dy_rows.push_back(LoadRow(problem.dy, t));
      x_rows.push_back(LoadRow(problem.x, t));
    }
    if (problem.fp8) {
      RoundColumns(dy_rows, problem.per_tensor ? Magnitude(problem.dy) : 0);
      RoundColumns(x_rows, problem.per_tensor ? Magnitude(problem.x) : 0);
    }
    for (size_t t = 0; t < dy_rows.size(); ++t) {
      size_t next = 0;
      for (const double dy : dy_rows[t]) {
        for (const double x : x_rows[t]) dw[next++] += dy * x;
      }
    }
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < k; ++j) {
        Store(problem.dw, i, j, Load(problem.dw, i, j) + dw[static_cast<size_t>(i * k + j)]);
      }
    }
  }
}

void ReferenceBackend::BiasBackward(Context&, ConstTensor dy, Tensor db) {
  CheckShape(db, {dy.dim(1)}, "db");
  for (int64_t j = 0; j < dy.dim(1); ++j) {
    double sum = 0;
    for (int64_t row = 0; row < dy.dim(0); ++row) sum += Load(dy, row, j);
    Store(db, j, Load(db, j) + sum);
  }
}

}  // namespace fathom
