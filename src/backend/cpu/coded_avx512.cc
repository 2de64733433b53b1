// Compiled as CMakeLists.txt says.

#include "backend/cpu/coded_pack-inl.h"

static_assert(HWY_TARGET == HWY_AVX3);

namespace fathom::cpu {

const CodedKernels kAvx512CodedKernels = HWY_NAMESPACE::MakeCodedKernels();

}  // namespace fathom::cpu
