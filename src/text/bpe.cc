#include "text/bpe.h"

#include <utility>

#include "base/error.h"

namespace fathom {

BpeModel::BpeModel(std::vector<VocabularyToken> tokens, std::vector<Merge> merges,
                   std::string_view where, bool whole_words)
    : tokens_(std::move(tokens)),
      merges_(std::move(merges)),
      table_(merges_.size()),
      whole_words_(whole_words) {
  byte_ids_.fill(-1);
  for (size_t id = 0; id < tokens_.size(); ++id) {
    const VocabularyToken& token = tokens_[id];
    if (token.kind == VocabularyToken::Kind::kBytes && token.bytes.size() == 1) {
      byte_ids_[static_cast<uint8_t>(token.bytes[0])] = static_cast<int32_t>(id);
    }
  }
  for (int byte = 0; byte < 256; ++byte) {
    if (byte_ids_[byte] < 0) {
      throw Error(where, fmt::format("the vocabulary has no token for the byte 0x{:02X}", byte),
                  "a byte-level vocabulary has one for each of the 256");
    }
  }
  if (whole_words_) {
    ids_by_word_.reserve(tokens_.size());
    for (size_t id = 0; id < tokens_.size(); ++id) {
      const VocabularyToken& token = tokens_[id];
      if (token.kind == VocabularyToken::Kind::kBytes && !token.special) {
        ids_by_word_.emplace(token.bytes, static_cast<int32_t>(id));
      }
    }
  }
  const auto exists = [&](int32_t id) {
    return id >= 0 && static_cast<size_t>(id) < tokens_.size() &&
           tokens_[id].kind != VocabularyToken::Kind::kNone;
  };
  for (size_t rank = 0; rank < merges_.size(); ++rank) {
    const Merge& merge = merges_[rank];
    if (!exists(merge.left) || !exists(merge.right) || !exists(merge.result)) {
      throw Error(where, fmt::format("merge {} has an id without a token", rank));
    }
    table_[{merge.left, merge.right}] = {static_cast<int32_t>(rank), merge.result};
  }
}

}  // namespace fathom
