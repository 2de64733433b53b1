#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace fathom::grammar {

// What stands before and after the name of an added token ("<think>") in grammars: a byte that no
// text has. So no text can pass for the token, and no grammar over text allows it by accident.
inline constexpr char kMarkByte = '\xFF';

// The mark of a tokenizer as grammars write it: as an added token where it is one, otherwise as
// text.
std::string MarkText(const Tokenizer& tokenizer, std::string_view mark);

// The tokens of a vocabulary by their bytes, as a tree in order: a node comes before those below
// it. Immutable.
class TokenTrie {
 public:
  explicit TokenTrie(const Tokenizer& tokenizer);

  // Nodes are numbered from 0; 0 is the root, which has no byte.
  int32_t size() const { return static_cast<int32_t>(byte_.size()); }
  uint8_t byte(int32_t node) const { return byte_[static_cast<size_t>(node)]; }
  // One more than the last node below this one; node + 1 when there is none.
  int32_t end(int32_t node) const { return end_[static_cast<size_t>(node)]; }
  // Bytes from the root.
  int32_t depth(int32_t node) const { return depth_[static_cast<size_t>(node)]; }
  // The ids of the tokens that end there.
  std::span<const int32_t> tokens(int32_t node) const {
    const size_t begin = static_cast<size_t>(first_[static_cast<size_t>(node)]);
    return std::span(ids_).subspan(
        begin, static_cast<size_t>(first_[static_cast<size_t>(node) + 1]) - begin);
  }
  int32_t most_depth() const { return most_depth_; }

  // The bytes of a token here; empty for ids without one.
  std::string_view BytesOf(int32_t id) const;
  // Words of a set of ids, a bit each.
  size_t words() const { return (bytes_of_.size() + 63) / 64; }

 private:
  std::vector<std::string> bytes_of_;  // by id
  std::vector<int32_t> ids_;           // in the order of their bytes
  std::vector<uint8_t> byte_;
  std::vector<int32_t> end_, first_;
  std::vector<int32_t> depth_;
  int32_t most_depth_ = 0;
};

}  // namespace fathom::grammar
