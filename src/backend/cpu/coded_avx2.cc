// Compiled as CMakeLists.txt says.

#include "backend/cpu/coded_pack-inl.h"

static_assert(HWY_TARGET == HWY_AVX2);

namespace fathom::cpu {

const CodedKernels kAvx2CodedKernels = HWY_NAMESPACE::MakeCodedKernels();

}  // namespace fathom::cpu
