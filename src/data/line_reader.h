#pragma once

#include <zstd.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/file.h"

namespace fathom {

// The lines of a text file, plain or compressed with zstd, one at a time: memory holds one line
// and a block, however large the file.
class LineReader {
 public:
  // Lines longer than this are an Error: nothing is read without a bound.
  static constexpr size_t kMaxLineBytes = size_t{256} << 20;

  LineReader(const std::filesystem::path& path, bool compressed);

  // The next line without its end ("\n" or "\r\n"); false after the last one. The line is valid
  // until the next call. Throws Error when the compressed data is broken or ends too early.
  bool Next(std::string_view& line);

  // The number of the line that Next() gave last, from 1.
  uint64_t line_number() const { return line_number_; }
  // Bytes of the file (compressed ones, if it is) used so far.
  uint64_t position() const { return position_; }

 private:
  struct FreeContext {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };

  // Appends what the next block of the file decompresses to; false at the end of the file.
  bool Refill();

  MappedFile file_;
  std::unique_ptr<ZSTD_DCtx, FreeContext> context_;
  uint64_t position_ = 0;
  uint64_t line_number_ = 0;
  // Whether the data decompressed so far ends where a frame ends.
  bool frame_complete_ = true;
  std::string buffer_;
  size_t consumed_ = 0;
};

}  // namespace fathom
