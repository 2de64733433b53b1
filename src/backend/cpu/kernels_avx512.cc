// Compiled for AVX-512 (F, BW, CD, DQ, VL) with bf16 dot products (CMakeLists.txt).

#include "backend/cpu/coded_kernels.h"
#include "backend/cpu/table-inl.h"

static_assert(HWY_TARGET == HWY_AVX3);

namespace fathom::cpu {

const KernelTable& Avx512Kernels() {
  static constexpr KernelTable kTable = HWY_NAMESPACE::MakeTable("AVX-512", &kAvx512CodedKernels);
  return kTable;
}

}  // namespace fathom::cpu
