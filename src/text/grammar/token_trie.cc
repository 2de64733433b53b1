#include "text/grammar/token_trie.h"

#include <algorithm>

namespace fathom::grammar {

namespace {

// On both sides: one added token's name may be the beginning of another's.
std::string Marked(std::string_view name) { return kMarkByte + std::string(name) + kMarkByte; }

}  // namespace

std::string MarkText(const Tokenizer& tokenizer, std::string_view mark) {
  return tokenizer.AddedTokenId(mark) ? Marked(mark) : std::string(mark);
}

TokenTrie::TokenTrie(const Tokenizer& tokenizer) {
  bytes_of_.resize(static_cast<size_t>(tokenizer.vocab_size()));
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    const std::string_view bytes = tokenizer.TokenBytes(id);
    // The token of a byte that no text has would look like a mark.
    if (bytes.find(kMarkByte) == std::string_view::npos) bytes_of_[static_cast<size_t>(id)] = bytes;
  }
  for (const AddedToken& token : tokenizer.added_tokens()) {
    bytes_of_[static_cast<size_t>(token.id)] = Marked(token.content);
  }
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    if (!BytesOf(id).empty()) ids_.push_back(id);
  }
  std::ranges::stable_sort(ids_, {}, [&](int32_t id) { return BytesOf(id); });
  // The tokens' order is that of the nodes: what a token begins with comes before it.
  std::vector<int32_t> path;  // nodes down to the last token
  const auto open = [&](uint8_t byte, size_t token) {
    path.push_back(size());
    byte_.push_back(byte);
    end_.push_back(0);
    depth_.push_back(static_cast<int32_t>(path.size()) - 1);
    first_.push_back(static_cast<int32_t>(token));
  };
  open(0, 0);
  std::string_view before;
  for (size_t i = 0; i < ids_.size(); ++i) {
    const std::string_view bytes = BytesOf(ids_[i]);
    const auto differ = std::ranges::mismatch(bytes, before).in1;
    const auto common = static_cast<size_t>(differ - bytes.begin());
    for (; path.size() > common + 1; path.pop_back())
      end_[static_cast<size_t>(path.back())] = size();
    for (size_t at = common; at < bytes.size(); ++at) open(static_cast<uint8_t>(bytes[at]), i);
    most_depth_ = std::max(most_depth_, static_cast<int32_t>(bytes.size()));
    before = bytes;
  }
  for (const int32_t node : path) end_[static_cast<size_t>(node)] = size();
  first_.push_back(static_cast<int32_t>(ids_.size()));
}

std::string_view TokenTrie::BytesOf(int32_t id) const {
  const auto index = static_cast<size_t>(id);
  return index < bytes_of_.size() ? std::string_view(bytes_of_[index]) : std::string_view();
}

}  // namespace fathom::grammar
