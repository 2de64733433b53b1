#include <algorithm>
#include <cmath>

#include "backend/cpu/coded.h"
#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/fp8.h"
#include "backend/cpu/work.h"

namespace fathom {

using cpu::At;
using cpu::Element;
using cpu::ElementOf;

size_t CpuBackend::PackedBytes(DType dtype, int64_t n, int64_t k) const {
  if (IsBlockCoded(dtype)) {
    const int64_t panels = (n + kernels_.panel - 1) / kernels_.panel;
    return static_cast<size_t>(panels * cpu::CodedPanelBytes(kernels_, dtype, k));
  }
  if (IsQuantized(dtype)) return static_cast<size_t>(cpu::CodePanels(kernels_, n, k).bytes());
  const Element type = ElementOf(dtype);
  const int64_t panels = (n + kernels_.panel - 1) / kernels_.panel;
  return static_cast<size_t>(panels * kernels_.panel * cpu::EvenDepth(type, k) * cpu::SizeOf(type));
}

namespace {

// Rows of the stack that a panel needs, as f32 or bf16: f64 rows are rounded, and rows in files
// are read, into `converted`.
class StackRows {
 public:
  explicit StackRows(std::span<const WeightPart> parts) : parts_(parts) {}

  // The stack's rows [begin, begin + count), from column `first`, `width` elements of each, into
  // rows[]. They are of one type: f64 and mixed stacks come as f32.
  Element Fetch(int64_t begin, int64_t count, int64_t first, int64_t width, const void** rows,
                std::vector<float>* converted) const {
    DType common = parts_[0].value.dtype();
    for (const WeightPart& part : parts_) {
      if (part.value.empty() || part.value.dtype() != common) common = DType::kF64;
    }
    if (common == DType::kF64) converted->resize(static_cast<size_t>(count * width));
    int64_t i = 0, skip = begin;
    for (const WeightPart& part : parts_) {
      for (; i < count && skip < part.rows(); ++i, ++skip) {
        if (part.value.empty()) {
          FATHOM_CHECK(first == 0 && width == part.columns());
          float* to = converted->data() + i * width;
          part.stored->Read(part.begin + skip, Tensor(to, DType::kF32, Shape({1, width})));
          rows[i] = to;
          continue;
        }
        const ConstTensor& value = part.value;
        const std::byte* row =
            At(value, skip) + first * static_cast<int64_t>(SizeOf(value.dtype()));
        if (common != DType::kF64) {
          rows[i] = row;
          continue;
        }
        float* to = converted->data() + i * width;
        for (int64_t j = 0; j < width; ++j) to[j] = LoadFloat(value.dtype(), row, j);
        rows[i] = to;
      }
      skip -= part.rows();
      if (skip < 0) skip = 0;
    }
    return common == DType::kBF16 ? Element::kBF16 : Element::kF32;
  }

 private:
  static float LoadFloat(DType dtype, const std::byte* row, int64_t j) {
    switch (dtype) {
      case DType::kF64:
        return static_cast<float>(reinterpret_cast<const double*>(row)[j]);
      case DType::kF32:
        return reinterpret_cast<const float*>(row)[j];
      case DType::kBF16:
        return static_cast<float>(reinterpret_cast<const BF16*>(row)[j]);
      default:
        FATHOM_CHECK(false, "a weight of {}", Name(dtype));
    }
  }

  std::span<const WeightPart> parts_;
};

// The parts' codes, when all of them are in files and have codes of this type. (Columns of several
// parts would stand side by side, in the middle of blocks.)
std::optional<CodedRows> CodesOf(std::span<const WeightPart> parts, bool transposed, DType dtype) {
  if (transposed && parts.size() > 1) return std::nullopt;
  CodedRows all{.dtype = dtype};
  for (const WeightPart& part : parts) {
    if (!part.value.empty()) return std::nullopt;
    if (part.stored->CodeType(part.begin, part.end, transposed) != dtype) return std::nullopt;
    CodedRows rows = part.stored->Coded(part.begin, part.end, transposed);
    all.rows.insert(all.rows.end(), rows.rows.begin(), rows.rows.end());
    all.scales.insert(all.scales.end(), rows.scales.begin(), rows.scales.end());
  }
  return all;
}

}  // namespace

void CpuBackend::Pack(Context& context, std::span<const WeightPart> parts, bool transposed,
                      const PackedMatrix& packed) {
  FATHOM_CHECK(packed.bytes >= PackedBytes(packed.dtype, packed.n, packed.k) && !parts.empty());
  int64_t stacked = 0;
  for (const WeightPart& part : parts) {
    FATHOM_CHECK(part.columns() == (transposed ? packed.n : packed.k),
                 "a part of {} columns of [{}, {}]", part.columns(), packed.n, packed.k);
    stacked += part.rows();
  }
  FATHOM_CHECK(stacked == (transposed ? packed.k : packed.n), "{} rows in [{}, {}]", stacked,
               packed.n, packed.k);
  const auto codes = CodesOf(parts, transposed, packed.dtype);
  if (IsBlockCoded(packed.dtype)) {
    FATHOM_CHECK(codes && static_cast<int64_t>(codes->rows.size()) == packed.n,
                 "weights are not {}", Name(packed.dtype));
    const int64_t panels = (packed.n + kernels_.panel - 1) / kernels_.panel;
    cpu::ForRows(*context.pool, panels, kernels_.panel * packed.k,
                 [&](int64_t begin, int64_t end, int) {
                   cpu::PackCodedPanels(kernels_, *codes, begin, end, packed);
                 });
    return;
  }
  if (codes && IsQuantized(packed.dtype)) {
    const int64_t panels = (packed.n + kernels_.panel - 1) / kernels_.panel;
    cpu::ForRows(*context.pool, panels, kernels_.panel * packed.k,
                 [&](int64_t begin, int64_t end, int) {
                   cpu::PackCodePanels(kernels_, *codes, begin, end, packed);
                 });
    return;
  }
  // A transpose needs columns of all rows at a time, one scale of a tensor all of its elements.
  ArenaScope scope(*context.workspace);
  std::vector<WeightPart> in_memory;
  if (transposed || packed.dtype == DType::kE4M3Tensor) {
    for (const WeightPart& part : parts) {
      if (!part.value.empty()) {
        in_memory.push_back(part);
        continue;
      }
      const Tensor rows = context.workspace->New(DType::kF32, Shape({part.rows(), part.columns()}));
      LoadRows(context, *part.stored, part.begin, rows);
      in_memory.emplace_back(rows);
    }
    parts = in_memory;
  }
  const StackRows stack(parts);
  if (IsQuantized(packed.dtype)) {
    const int64_t squares = (packed.n + kScaleTile - 1) / kScaleTile;
    float at_least = 0;
    if (packed.dtype == DType::kE4M3Tensor) {
      for (const WeightPart& part : parts) {
        const float largest = cpu::TensorMagnitude(kernels_, *context.pool, part.value);
        if (!(largest <= at_least)) at_least = largest;
        if (std::isnan(largest)) break;
      }
    }
    cpu::ForRows(
        *context.pool, squares, kScaleTile * packed.k, [&](int64_t begin, int64_t end, int) {
          std::vector<const void*> rows(static_cast<size_t>(transposed ? packed.k : kScaleTile));
          std::vector<float> converted;
          for (int64_t block = begin; block < end; ++block) {
            const int64_t first = block * kScaleTile;
            const int64_t count = std::min(kScaleTile, packed.n - first);
            const Element from =
                transposed ? stack.Fetch(0, packed.k, first, count, rows.data(), &converted)
                           : stack.Fetch(first, count, 0, packed.k, rows.data(), &converted);
            cpu::PackSquares(kernels_, from, rows.data(), transposed, block, at_least, packed);
          }
        });
    return;
  }
  const Element type = ElementOf(packed.dtype);
  const int64_t width = kernels_.panel;
  const int64_t panel_bytes = width * cpu::EvenDepth(type, packed.k) * cpu::SizeOf(type);
  const int64_t panels = (packed.n + width - 1) / width;
  // A transpose reads this many panels' columns of a row at a time.
  const int64_t at_a_time = transposed ? 8 : 1;
  cpu::ForRows(*context.pool, panels, width * packed.k, [&](int64_t begin, int64_t end, int) {
    std::vector<const void*> rows(static_cast<size_t>(transposed ? packed.k : width));
    std::vector<float> converted;
    for (int64_t p = begin; p < end; p += at_a_time) {
      const int64_t first = p * width;
      const int64_t count = std::min(packed.n, std::min(end, p + at_a_time) * width) - first;
      std::byte* out = static_cast<std::byte*>(packed.data) + p * panel_bytes;
      if (transposed) {
        const Element from = stack.Fetch(0, packed.k, first, count, rows.data(), &converted);
        kernels_.pack_column_panels(from, type, rows.data(), 0, packed.k, count, out);
      } else {
        const Element from = stack.Fetch(first, count, 0, packed.k, rows.data(), &converted);
        kernels_.pack_row_panels(from, type, rows.data(), count, packed.k, out);
      }
    }
  });
}

}  // namespace fathom
