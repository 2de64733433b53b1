#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/function_ref.h"

namespace fathom {

// A token that is found in the text itself, before the pre-tokeniser sees it.
struct AddedToken {
  int32_t id = -1;
  std::string content;
  bool special = true;      // left out by Decode(ids, skip_special)
  bool normalized = false;  // looked for only where no token that is not `normalized` was found
};

// Finds added tokens in text: at each place the longest one that begins there (leftmost-longest),
// first those that are not `normalized`, then, in what lies between them, the others.
class AddedTokenMatcher {
 public:
  explicit AddedTokenMatcher(const std::vector<AddedToken>& tokens);

  // Calls emit(piece, id) for all of `text` in order; id is -1 for text between added tokens. No
  // piece is empty.
  void Split(std::string_view text,
             FunctionRef<void(std::string_view piece, int32_t id)> emit) const;

 private:
  // A prefix tree; the children of a node are a linked list.
  class Tree {
   public:
    Tree();
    void Add(std::string_view content, int32_t id);
    void Split(std::string_view text,
               FunctionRef<void(std::string_view piece, int32_t id)> emit) const;

   private:
    struct Node {
      int32_t id = -1;
      int32_t first_child = -1;
      int32_t sibling = -1;
      char byte = 0;
    };
    int32_t Child(int32_t node, char byte) const;

    std::vector<Node> nodes_;
    std::vector<int32_t> roots_;  // by first byte; -1: no token begins so
  };

  Tree exact_, normalized_;
};

}  // namespace fathom
