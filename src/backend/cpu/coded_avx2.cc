// Compiled as CMakeLists.txt says.

#include "backend/cpu/coded_pack-inl.h"

static_assert(HWY_TARGET == HWY_AVX2);

namespace fathom::cpu {

const CodedKernels kAvx2CodedKernels = {.panel = HWY_NAMESPACE::kPanel,
                                        .row_bytes = &HWY_NAMESPACE::CodedRowBytes,
                                        .scratch_bytes = &HWY_NAMESPACE::CodedScratchBytes,
                                        .quantize_strips = &HWY_NAMESPACE::QuantizeStrips,
                                        .pack_panel = &HWY_NAMESPACE::PackCodedPanel,
                                        .multiply = &HWY_NAMESPACE::MultiplyCoded};

}  // namespace fathom::cpu
