#include <algorithm>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/work.h"

namespace fathom {

using cpu::At;
using cpu::Element;
using cpu::ElementOf;

void CpuBackend::SortByExpert(Context&, ConstTensor expert_ids, int64_t experts, ExpertRows* rows) {
  const int64_t tokens = expert_ids.dim(0), top_k = expert_ids.dim(1);
  cpu::CheckShape(rows->token_of_row, {tokens * top_k}, "token_of_row");
  cpu::CheckShape(rows->row_of_slot, {tokens, top_k}, "row_of_slot");
  auto* token_of_row = rows->token_of_row.data<int32_t>();
  const auto row_of_slot = rows->row_of_slot.span<int32_t>();
  FATHOM_CHECK(expert_ids.dtype() == DType::kI32);

  // A counting sort: one pass over an array of a few kilobytes is not worth a second thread.
  auto& offsets = rows->offsets;
  offsets.assign(static_cast<size_t>(experts) + 1, 0);
  const auto ids = [&](int64_t t) { return reinterpret_cast<const int32_t*>(At(expert_ids, t)); };
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t i = 0; i < top_k; ++i) {
      const int32_t e = ids(t)[i];
      FATHOM_CHECK(e >= 0 && e < experts, "expert {} of {}", e, experts);
      ++offsets[static_cast<size_t>(e) + 1];
    }
  }
  for (size_t e = 1; e < offsets.size(); ++e) offsets[e] += offsets[e - 1];
  std::vector<int64_t> next(offsets.begin(), offsets.end() - 1);
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t i = 0; i < top_k; ++i) {
      const int64_t row = next[static_cast<size_t>(ids(t)[i])]++;
      token_of_row[row] = static_cast<int32_t>(t);
      row_of_slot[static_cast<size_t>(t * top_k + i)] = static_cast<int32_t>(row);
    }
  }
}

void CpuBackend::PermuteSlots(Context&, const ExpertRows& rows, bool to_slots, ConstTensor from,
                              Tensor to) {
  const int64_t tokens = rows.row_of_slot.dim(0), top_k = rows.row_of_slot.dim(1);
  const auto row_of_slot = static_cast<const ConstTensor&>(rows.row_of_slot).span<int32_t>();
  const ConstTensor& slots = to_slots ? static_cast<const ConstTensor&>(to) : from;
  const ConstTensor& by_row = to_slots ? from : static_cast<const ConstTensor&>(to);
  cpu::CheckShape(slots, {tokens, top_k}, "slots");
  cpu::CheckShape(by_row, {tokens * top_k}, "rows");
  FATHOM_CHECK(from.dtype() == DType::kF32 && to.dtype() == DType::kF32);
  for (int64_t t = 0; t < tokens; ++t) {
    const int32_t* row = row_of_slot.data() + t * top_k;
    if (to_slots) {
      const auto* x = from.data<float>();
      auto* y = reinterpret_cast<float*>(At(to, t));
      for (int64_t i = 0; i < top_k; ++i) y[i] = x[row[i]];
    } else {
      const auto* x = reinterpret_cast<const float*>(At(from, t));
      auto* y = to.data<float>();
      for (int64_t i = 0; i < top_k; ++i) y[row[i]] = x[i];
    }
  }
}

void CpuBackend::CombineExperts(Context& context, ConstTensor y, const ExpertRows& rows,
                                ConstTensor weights, ConstTensor shared, Tensor x) {
  const int64_t tokens = rows.row_of_slot.dim(0), top_k = rows.row_of_slot.dim(1);
  const int64_t d = x.dim(1);
  cpu::CheckShape(x, {tokens, d}, "x");
  cpu::CheckShape(y, {tokens * top_k, d}, "y");
  if (!weights.empty()) {
    cpu::CheckShape(weights, {tokens, top_k}, "weights");
    FATHOM_CHECK(weights.dtype() == DType::kF32);
  }
  if (!shared.empty()) cpu::CheckShape(shared, {tokens, d}, "shared");
  const auto row_of_slot = static_cast<const ConstTensor&>(rows.row_of_slot).span<int32_t>();
  const Element shared_type = shared.empty() ? Element::kF32 : ElementOf(shared);
  cpu::ForRows(*context.pool, tokens, d * (top_k + 2), [&](int64_t begin, int64_t end, int) {
    std::vector<const void*> from(static_cast<size_t>(top_k));
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t i = 0; i < top_k; ++i) {
        from[static_cast<size_t>(i)] = At(y, row_of_slot[static_cast<size_t>(t * top_k + i)]);
      }
      const auto* w = weights.empty() ? nullptr : reinterpret_cast<const float*>(At(weights, t));
      kernels_.combine(ElementOf(y), from.data(), w, top_k, shared_type,
                       shared.empty() ? nullptr : At(shared, t), ElementOf(x), At(x, t), d);
    }
  });
}

}  // namespace fathom
