#include "text/added_tokens.h"

#include "text/unicode.h"

namespace fathom {

AddedTokenMatcher::AddedTokenMatcher(const std::vector<AddedToken>& tokens,
                                     const Normalizer& normalizer)
    : normalizer_(normalizer) {
  for (const AddedToken& token : tokens) {
    std::string buffer;
    const std::string_view content =
        token.normalized ? normalizer_.Apply(token.content, buffer) : token.content;
    if (!content.empty()) (token.normalized ? normalized_ : exact_).Add(content, token);
  }
}

void AddedTokenMatcher::Split(std::string_view text,
                              FunctionRef<void(std::string_view piece, int32_t id)> emit) const {
  std::string buffer;
  exact_.Split(text, [&](std::string_view piece, int32_t id) {
    if (id >= 0) {
      emit(piece, id);
    } else {
      normalized_.Split(normalizer_.Apply(piece, buffer), emit);
    }
  });
}

AddedTokenMatcher::Tree::Tree() : roots_(256, -1) {}

int32_t AddedTokenMatcher::Tree::Child(int32_t node, char byte) const {
  int32_t child = nodes_[node].first_child;
  while (child >= 0 && nodes_[child].byte != byte) child = nodes_[child].sibling;
  return child;
}

void AddedTokenMatcher::Tree::Add(std::string_view content, const AddedToken& token) {
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
  nodes_[node].token = static_cast<int32_t>(tokens_.size());
  tokens_.push_back({token.id, token.lstrip, token.rstrip, token.single_word});
}

int32_t AddedTokenMatcher::Tree::LongestAt(std::string_view text, size_t start, size_t& end) const {
  int32_t token = -1;
  int32_t node = roots_[static_cast<uint8_t>(text[start])];
  for (size_t i = start + 1; node >= 0; ++i) {
    if (nodes_[node].token >= 0) {
      token = nodes_[node].token;
      end = i;
    }
    if (i >= text.size()) break;
    node = Child(node, text[i]);
  }
  return token;
}

void AddedTokenMatcher::Tree::Split(
    std::string_view text, FunctionRef<void(std::string_view piece, int32_t id)> emit) const {
  if (tokens_.empty()) {
    if (!text.empty()) emit(text, -1);
    return;
  }
  const ClassLookup classes;
  const auto class_before = [&](size_t end) {
    const char* p = text.data() + PreviousCharacter(text, end);
    return classes(NextCodePoint(p));
  };
  const auto class_at = [&](size_t begin, size_t& next) {
    const char* p = text.data() + begin;
    const uint16_t found = classes(NextCodePoint(p));
    next = static_cast<size_t>(p - text.data());
    return found;
  };

  size_t done = 0;   // everything before it is part of a piece
  size_t start = 0;  // where the next token may begin
  while (start < text.size()) {
    size_t match_end = start;
    const int32_t found = LongestAt(text, start, match_end);
    if (found < 0) {
      ++start;
      continue;
    }
    const Token& token = tokens_[found];
    size_t begin = start, end = match_end, next = 0;
    start = match_end;
    if (token.single_word && ((begin > 0 && class_before(begin) & kWord) ||
                              (end < text.size() && class_at(end, next) & kWord))) {
      continue;
    }
    if (token.lstrip) {
      while (begin > done && class_before(begin) & kSpace) begin = PreviousCharacter(text, begin);
    }
    if (token.rstrip) {
      while (end < text.size() && class_at(end, next) & kSpace) end = next;
    }
    if (done < begin) emit(text.substr(done, begin - done), -1);
    emit(text.substr(begin, end - begin), token.id);
    // A token that begins with white space may be found inside what rstrip took along.
    done = end;
  }
  if (done < text.size()) emit(text.substr(done), -1);
}

}  // namespace fathom
