#include "backend/cpu/work.h"

#include <algorithm>

namespace fathom::cpu {

Element ElementOf(DType dtype) {
  FATHOM_CHECK(dtype == DType::kF32 || dtype == DType::kBF16, "a tensor of {}", Name(dtype));
  return dtype == DType::kF32 ? Element::kF32 : Element::kBF16;
}

void CheckShape(const ConstTensor& x, const Shape& shape, std::string_view name) {
  FATHOM_CHECK(x.shape() == shape, "{} is {}, expected {}", name, x.shape().ToString(),
               shape.ToString());
}

RowCursor::RowCursor(const ConstTensor& x) {
  const auto size = static_cast<int64_t>(fathom::SizeOf(x.dtype()));
  outer_ = std::max(0, x.rank() - 1);
  for (int i = 0; i < outer_; ++i) {
    dims_[i] = x.dim(i);
    strides_[i] = x.stride(i) * size;
    rows_ *= dims_[i];
  }
  if (x.rank() > 0) columns_ = x.dim(x.rank() - 1);
}

int64_t RowCursor::Offset(int64_t row) const {
  int64_t offset = 0;
  for (int i = outer_ - 1; i > 0; --i) {
    offset += row % dims_[i] * strides_[i];
    row /= dims_[i];
  }
  return outer_ > 0 ? offset + row * strides_[0] : offset;
}

void ForRows(ThreadPool& pool, int64_t rows, int64_t elements_per_row,
             FunctionRef<void(int64_t begin, int64_t end, int thread)> fn) {
  pool.ParallelFor(
      rows, std::max<int64_t>(1, kGrainElements / std::max<int64_t>(1, elements_per_row)), fn);
}

void ForPieces(ThreadPool& pool, const ConstTensor& x, const Tensor& y,
               FunctionRef<void(const void* x, void* y, int64_t n)> fn) {
  CheckShape(x, y.shape(), "x");
  if (x.elements() == 0) return;
  const auto* from = static_cast<const std::byte*>(x.raw());
  auto* to = static_cast<std::byte*>(y.raw());
  if (x.contiguous() && y.contiguous()) {
    const auto x_size = static_cast<int64_t>(fathom::SizeOf(x.dtype()));
    const auto y_size = static_cast<int64_t>(fathom::SizeOf(y.dtype()));
    pool.ParallelFor(x.elements(), kGrainElements, [&](int64_t begin, int64_t end, int) {
      fn(from + begin * x_size, to + begin * y_size, end - begin);
    });
    return;
  }
  const RowCursor x_rows(x), y_rows(y);
  ForRows(pool, x_rows.rows(), x_rows.columns(), [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      fn(from + x_rows.Offset(i), to + y_rows.Offset(i), x_rows.columns());
    }
  });
}

void WorkList::Add(int64_t units, int64_t unit_cost) {
  unit_cost = std::max<int64_t>(1, unit_cost);
  items_.push_back({cost_, units, unit_cost});
  cost_ += units * unit_cost;
}

int WorkList::Parts(const ThreadPool& pool, int64_t least) const {
  return static_cast<int>(std::clamp<int64_t>(cost_ / least, 1, pool.threads()));
}

void WorkList::Run(ThreadPool& pool, int parts,
                   FunctionRef<void(int part, int64_t item, int64_t begin, int64_t end)> fn) const {
  pool.ParallelFor(parts, 1, [&](int64_t part_begin, int64_t part_end, int) {
    for (int64_t part = part_begin; part < part_end; ++part) {
      // A unit belongs to the part that its start falls into.
      const auto border = [&](int64_t p) { return cost_ / parts * p + cost_ % parts * p / parts; };
      const int64_t low = border(part), high = border(part + 1);
      auto item = std::upper_bound(items_.begin(), items_.end(), low,
                                   [](int64_t at, const Item& i) { return at < i.start; });
      if (item != items_.begin()) --item;
      for (; item != items_.end() && item->start < high; ++item) {
        const auto unit_at = [&](int64_t cost) {
          const int64_t offset = std::max<int64_t>(0, cost - item->start);
          return std::min(item->units, (offset + item->unit_cost - 1) / item->unit_cost);
        };
        const int64_t begin = unit_at(low), end = unit_at(high);
        if (begin < end) fn(static_cast<int>(part), item - items_.begin(), begin, end);
      }
    }
  });
}

}  // namespace fathom::cpu
