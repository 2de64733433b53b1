// Compiled for AVX2, FMA, BMI2 and F16C (CMakeLists.txt).

#include "backend/cpu/coded_kernels.h"
#include "backend/cpu/table-inl.h"

static_assert(HWY_TARGET == HWY_AVX2);

namespace fathom::cpu {

const KernelTable& Avx2Kernels() {
  static constexpr KernelTable kTable = HWY_NAMESPACE::MakeTable("AVX2", &kAvx2CodedKernels);
  return kTable;
}

}  // namespace fathom::cpu
