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

namespace {

// The rows (runs of the last dimension) of a tensor of any rank and stride, one after the other.
class RowWalk {
 public:
  RowWalk(const ConstTensor& x, int64_t row) : outer_(std::max(0, x.rank() - 1)) {
    for (int i = outer_ - 1; i >= 0; --i) {
      dims_[i] = x.dim(i);
      strides_[i] = x.stride(i) * static_cast<int64_t>(fathom::SizeOf(x.dtype()));
      index_[i] = row % dims_[i];
      offset_ += index_[i] * strides_[i];
      row /= dims_[i];
    }
  }
  int64_t offset() const { return offset_; }  // in bytes
  void Next() {
    for (int i = outer_ - 1; i >= 0; --i) {
      offset_ += strides_[i];
      if (++index_[i] < dims_[i]) return;
      offset_ -= dims_[i] * strides_[i];
      index_[i] = 0;
    }
  }

 private:
  int outer_;
  int64_t offset_ = 0;
  int64_t dims_[Shape::kMaxRank] = {}, strides_[Shape::kMaxRank] = {}, index_[Shape::kMaxRank] = {};
};

}  // namespace

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
  const int64_t columns = x.rank() > 0 ? x.dim(x.rank() - 1) : 1;
  ForRows(pool, x.elements() / columns, columns, [&](int64_t begin, int64_t end, int) {
    RowWalk x_row(x, begin), y_row(y, begin);
    for (int64_t i = begin; i < end; ++i, x_row.Next(), y_row.Next()) {
      fn(from + x_row.offset(), to + y_row.offset(), columns);
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

int64_t WorkList::Border(int64_t part, int parts) const {
  return cost_ / parts * part + cost_ % parts * part / parts;
}

bool WorkList::IsShared(int64_t item, int parts) const {
  const Item& i = items_[static_cast<size_t>(item)];
  if (i.units == 0) return false;
  // A border at the first unit's start, or behind the last one's, cuts nothing.
  const int64_t last = i.start + (i.units - 1) * i.unit_cost;
  for (int64_t part = 1; part < parts; ++part) {
    const int64_t border = Border(part, parts);
    if (border > i.start && border <= last) return true;
  }
  return false;
}

void WorkList::Run(ThreadPool& pool, int parts,
                   FunctionRef<void(int part, int64_t item, int64_t begin, int64_t end)> fn) const {
  pool.ParallelFor(parts, 1, [&](int64_t part_begin, int64_t part_end, int) {
    for (int64_t part = part_begin; part < part_end; ++part) {
      const int64_t low = Border(part, parts), high = Border(part + 1, parts);
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
