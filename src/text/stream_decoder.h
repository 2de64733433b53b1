#pragma once

#include <cstdint>
#include <string>

#include "text/tokenizer.h"

namespace fathom {

// Turns tokens into text as they come, never emitting a part of a character: bytes that could
// still become one are held back until they are, or until they no longer can (then U+FFFD). All
// pieces together are ReplaceInvalidUtf8 of the tokens' bytes. The tokenizer has to outlive it.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_special = true)
      : tokenizer_(tokenizer), skip_special_(skip_special) {}

  // Well-formed UTF-8, often empty.
  std::string Push(int32_t id);
  // What is left at the end of the text. The decoder can be used for another text after it.
  std::string Finish();

 private:
  const Tokenizer& tokenizer_;
  bool skip_special_;
  std::string held_;  // at most 3 bytes between calls
};

}  // namespace fathom
