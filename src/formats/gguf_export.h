#pragma once

#include <cstdint>
#include <filesystem>

#include "base/function_ref.h"
#include "base/thread_pool.h"
#include "formats/gguf_writer.h"
#include "formats/model_source.h"

namespace fathom {

// Writes a model as a GGUF file that llama.cpp loads: configuration, tokenizer and chat template as
// metadata, tensors under that program's names and in its layouts (gguf_tensors.h, the reverse).
//   format  of matrices: F32, F16, BF16, Q8_0 or Q4_K. With Q4_K, embedding and head are Q6_K.
//           Vectors (norms, biases) and routers are F32. Where a matrix' rows are no multiple of
//           the blocks, the next finer type that fits is taken: Q4_K, Q6_K -> Q8_0 -> BF16.
// MTP layers are written under the names that llama.cpp has for them (nextn). Tensor by tensor in
// little memory, by all threads of the pool, with the same bytes whatever their number. The file
// appears whole or not at all.
//   progress  called with the bytes written and all that will be.
// Throws Error for a model that a GGUF file cannot describe, a value that the format cannot hold,
// and a disk that is full.
void ExportGguf(const ModelSource& source, const std::filesystem::path& path, BlockFormat format,
                ThreadPool& pool, FunctionRef<void(uint64_t done, uint64_t total)> progress);

// The metadata of ExportGguf.
void DescribeModel(const ModelSource& source, BlockFormat format, GgufWriter& writer);

}  // namespace fathom
