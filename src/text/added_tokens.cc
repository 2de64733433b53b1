#include "text/added_tokens.h"

namespace fathom {

AddedTokenMatcher::AddedTokenMatcher(const std::vector<AddedToken>& tokens) {
  for (const AddedToken& token : tokens) {
    if (!token.content.empty())
      (token.normalized ? normalized_ : exact_).Add(token.content, token.id);
  }
}

void AddedTokenMatcher::Split(std::string_view text,
                              FunctionRef<void(std::string_view piece, int32_t id)> emit) const {
  exact_.Split(text, [&](std::string_view piece, int32_t id) {
    if (id >= 0) {
      emit(piece, id);
    } else {
      normalized_.Split(piece, emit);
    }
  });
}

AddedTokenMatcher::Tree::Tree() : roots_(256, -1) {}

int32_t AddedTokenMatcher::Tree::Child(int32_t node, char byte) const {
  int32_t child = nodes_[node].first_child;
  while (child >= 0 && nodes_[child].byte != byte) child = nodes_[child].sibling;
  return child;
}

void AddedTokenMatcher::Tree::Add(std::string_view content, int32_t id) {
  const auto make = [&](char byte) {
    Node node;
    node.byte = byte;
    nodes_.push_back(node);
    return static_cast<int32_t>(nodes_.size()) - 1;
  };
  int32_t& root = roots_[static_cast<uint8_t>(content[0])];
  if (root < 0) root = make(content[0]);
  int32_t node = root;
  for (const char byte : content.substr(1)) {
    int32_t child = Child(node, byte);
    if (child < 0) {
      child = make(byte);
      nodes_[child].sibling = nodes_[node].first_child;
      nodes_[node].first_child = child;
    }
    node = child;
  }
  nodes_[node].id = id;
}

void AddedTokenMatcher::Tree::Split(
    std::string_view text, FunctionRef<void(std::string_view piece, int32_t id)> emit) const {
  size_t done = 0;
  for (size_t start = 0; start < text.size();) {
    int32_t node = roots_[static_cast<uint8_t>(text[start])];
    int32_t id = -1;
    size_t end = start;
    for (size_t i = start + 1; node >= 0; ++i) {
      if (nodes_[node].id >= 0) {
        id = nodes_[node].id;
        end = i;
      }
      if (i >= text.size()) break;
      node = Child(node, text[i]);
    }
    if (id < 0) {
      ++start;
      continue;
    }
    if (done < start) emit(text.substr(done, start - done), -1);
    emit(text.substr(start, end - start), id);
    done = start = end;
  }
  if (done < text.size()) emit(text.substr(done), -1);
}

}  // namespace fathom
