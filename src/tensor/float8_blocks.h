#pragma once

#include "base/thread_pool.h"
#include "tensor/float8.h"
#include "tensor/tensor.h"

namespace fathom {

// Quantises x [n, k] (f32, contiguous) in blocks of rows x columns, ragged at the edges, as
// DeepSeek-V3's weights are: a block's scale is its largest magnitude / 448 (1 where all are 0), a
// code is x / scale. codes [n, k], scales [ceil(n / rows), ceil(k / columns)]. False when x holds
// an infinity or a NaN, for which there is no scale.
bool EncodeE4M3Blocks(ThreadPool& pool, ConstTensor x, int64_t rows, int64_t columns, E4M3* codes,
                      float* scales);

}  // namespace fathom
