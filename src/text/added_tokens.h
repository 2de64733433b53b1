#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/function_ref.h"
#include "text/normalizer.h"

namespace fathom {

// A token that is found in the text itself, before the pre-tokeniser sees it.
struct AddedToken {
  int32_t id = -1;
  std::string content;
  bool special = true;       // left out by Decode(ids, skip_special)
  bool normalized = false;   // looked for, normalized, in the normalized text that lies between
                             // tokens that are not `normalized`
  bool lstrip = false;       // takes the white space before it along
  bool rstrip = false;       // takes the white space after it along
  bool single_word = false;  // only where no word character (kWord) touches it
};

// Finds added tokens in text: at each place the longest one that begins there (leftmost-longest),
// first those that are not `normalized`, then, in what lies between them, the others. One that
// single_word refuses is not tried again with a shorter token.
class AddedTokenMatcher {
 public:
  AddedTokenMatcher(const std::vector<AddedToken>& tokens, const Normalizer& normalizer);

  // Calls emit(piece, id) for all of `text`, valid UTF-8, in order; id is -1 for text between added
  // tokens, which is normalized then. No piece of text is empty; pieces are valid during the call.
  void Split(std::string_view text,
             FunctionRef<void(std::string_view piece, int32_t id)> emit) const;

 private:
  // A prefix tree; the children of a node are a linked list.
  class Tree {
   public:
    Tree();
    void Add(std::string_view content, const AddedToken& token);
    void Split(std::string_view text,
               FunctionRef<void(std::string_view piece, int32_t id)> emit) const;

   private:
    struct Token {
      int32_t id;
      bool lstrip, rstrip, single_word;
    };
    struct Node {
      int32_t token = -1;  // that ends here: index into tokens_
      int32_t first_child = -1;
      int32_t sibling = -1;
      char byte = 0;
    };
    int32_t Child(int32_t node, char byte) const;
    // The longest token that begins at `start`, or -1; end: where it ends.
    int32_t LongestAt(std::string_view text, size_t start, size_t& end) const;

    std::vector<Token> tokens_;
    std::vector<Node> nodes_;
    std::vector<int32_t> roots_;  // by first byte; -1: no token begins so
  };

  Normalizer normalizer_;
  Tree exact_, normalized_;
};

}  // namespace fathom
