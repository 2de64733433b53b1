#include "data/line_reader.h"

#include <zstd_errors.h>

#include <algorithm>
#include <new>

#include "base/error.h"

namespace fathom {
namespace {

constexpr size_t kBlock = size_t{1} << 18;

std::string_view WithoutCarriageReturn(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace

LineReader::LineReader(const std::filesystem::path& path, bool compressed) : file_(path) {
  if (!compressed) return;
  context_.reset(ZSTD_createDCtx());
  if (context_ == nullptr) throw std::bad_alloc();
}

bool LineReader::Refill() {
  const std::string_view rest = file_.text().substr(position_);
  if (context_ == nullptr) {
    if (rest.empty()) return false;
    buffer_.append(rest.substr(0, kBlock));
    position_ += std::min(rest.size(), kBlock);
    return true;
  }
  // An empty rest with an incomplete frame still has to be tried: output may be waiting inside.
  if (rest.empty() && frame_complete_) return false;
  const size_t before = buffer_.size();
  buffer_.resize(before + kBlock);
  ZSTD_inBuffer input{rest.data(), std::min(rest.size(), kBlock), 0};
  ZSTD_outBuffer output{buffer_.data() + before, kBlock, 0};
  const size_t result = ZSTD_decompressStream(context_.get(), &output, &input);
  buffer_.resize(before + output.pos);
  if (ZSTD_isError(result)) {
    throw Error(file_.path().string(),
                fmt::format("is not valid zstd data near byte {}: {}", position_ + input.pos,
                            ZSTD_getErrorName(result)),
                ZSTD_getErrorCode(result) == ZSTD_error_frameParameter_windowTooLarge
                    ? "compress it without --long, or with --long=27 at most"
                    : "compress the file again, or take it out of the source");
  }
  position_ += input.pos;
  frame_complete_ = result == 0;
  if (!frame_complete_ && input.pos == 0 && output.pos == 0) {
    throw Error(file_.path().string(), "ends in the middle of a zstd frame",
                "the file was cut: copy or compress it again");
  }
  return true;
}

bool LineReader::Next(std::string_view& line) {
  size_t searched = consumed_;
  while (true) {
    const size_t end = buffer_.find('\n', searched);
    if (end != std::string::npos) {
      line = WithoutCarriageReturn(std::string_view(buffer_).substr(consumed_, end - consumed_));
      consumed_ = end + 1;
      ++line_number_;
      return true;
    }
    buffer_.erase(0, consumed_);
    consumed_ = 0;
    searched = buffer_.size();
    if (searched > kMaxLineBytes) {
      throw Error(fmt::format("{}:{}", file_.path().string(), line_number_ + 1),
                  fmt::format("the line is longer than {} bytes", kMaxLineBytes),
                  "is this a file of one JSON object a line?");
    }
    if (!Refill()) break;
  }
  if (buffer_.empty()) return false;
  line = WithoutCarriageReturn(buffer_);
  consumed_ = buffer_.size();
  ++line_number_;
  return true;
}

}  // namespace fathom
