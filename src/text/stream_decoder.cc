#include "text/stream_decoder.h"

#include <utility>

#include "text/utf8.h"

namespace fathom {

std::string StreamDecoder::Push(int32_t id) {
  if (skip_special_ && tokenizer_.IsSpecial(id)) return {};
  held_ += tokenizer_.TokenBytes(id);
  const size_t whole = held_.size() - IncompleteUtf8Tail(held_);
  std::string text = ReplaceInvalidUtf8(std::string_view(held_).substr(0, whole));
  held_.erase(0, whole);
  return text;
}

std::string StreamDecoder::Finish() { return ReplaceInvalidUtf8(std::exchange(held_, {})); }

}  // namespace fathom
