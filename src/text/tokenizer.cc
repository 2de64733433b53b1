#include "text/tokenizer.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "text/bpe_encoder.h"
#include "text/byte_level.h"
#include "text/utf8.h"

namespace fathom {

// Encoders with their memory of words, lent to one Encode call at a time.
class Tokenizer::EncoderPool {
 public:
  explicit EncoderPool(const BpeModel& model) : model_(model) {}

  std::unique_ptr<BpeEncoder> Take() {
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        auto encoder = std::move(idle_.back());
        idle_.pop_back();
        return encoder;
      }
    }
    return std::make_unique<BpeEncoder>(model_);
  }

  void Return(std::unique_ptr<BpeEncoder> encoder) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(encoder));
  }

 private:
  const BpeModel& model_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<BpeEncoder>> idle_;
};

namespace {

std::vector<AddedToken> SortedById(std::vector<AddedToken> tokens) {
  std::stable_sort(tokens.begin(), tokens.end(),
                   [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  return tokens;
}

std::string WrittenForm(const VocabularyToken& token) {
  return token.kind == VocabularyToken::Kind::kBytes ? BytesToPrintable(token.bytes) : token.bytes;
}

}  // namespace

Tokenizer::Tokenizer(PreTokenizer pre_tokenizer, BpeModel model, std::vector<AddedToken> added,
                     std::string_view where, TokenizerExtras extras)
    : extras_(std::move(extras)),
      pre_tokenizer_(std::move(pre_tokenizer)),
      model_(std::make_unique<const BpeModel>(std::move(model))),
      added_(SortedById(std::move(added))),
      matcher_(added_, extras_.normalizer),
      encoders_(std::make_unique<EncoderPool>(*model_)) {
  entries_.reserve(model_->tokens().size());
  for (const VocabularyToken& token : model_->tokens()) {
    entries_.push_back({token.bytes, token.kind != VocabularyToken::Kind::kNone, false});
  }
  const size_t model_size = entries_.size();
  for (const AddedToken& token : added_) {
    // A file can hold any id; a vocabulary has few holes.
    const size_t limit = 2 * (model_size + added_.size()) + 65536;
    if (!IsValidUtf8(token.content)) throw Error(where, "an added token is not valid UTF-8");
    if (token.content.empty() || token.id < 0 || static_cast<size_t>(token.id) >= limit) {
      throw Error(where, fmt::format("the added token '{}' cannot have the id {}", token.content,
                                     token.id));
    }
    if (static_cast<size_t>(token.id) >= entries_.size()) entries_.resize(token.id + 1);
    Entry& entry = entries_[token.id];
    // A token of the vocabulary has the same content when it is written the same way in the file.
    const bool same = static_cast<size_t>(token.id) < model_size
                          ? WrittenForm(model_->tokens()[token.id]) == token.content
                          : entry.bytes == token.content;
    if (entry.exists && !same) {
      throw Error(where, fmt::format("the added token '{}' has the id {} of another token",
                                     token.content, token.id));
    }
    if (!added_ids_.emplace(token.content, token.id).second) {
      throw Error(where, fmt::format("the added token '{}' occurs twice", token.content));
    }
    // In the vocabulary it may be written with the characters that stand for bytes.
    entry = {entry.exists ? entry.bytes : std::string_view(token.content), true, token.special};
  }
  for (const auto* ids : {&extras_.surrounding.before, &extras_.surrounding.after}) {
    for (const int32_t id : *ids) {
      if (!HasToken(id)) throw Error(where, fmt::format("no token has the surrounding id {}", id));
    }
  }
  fingerprint_ = ComputeFingerprint();
}

Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

std::vector<int32_t> Tokenizer::Encode(std::string_view text, const EncodeOptions& options) const {
  std::vector<int32_t> ids;
  Encode(text, options, ids);
  return ids;
}

void Tokenizer::Encode(std::string_view text, const EncodeOptions& options,
                       std::vector<int32_t>& ids) const {
  if (!IsValidUtf8(text)) return Encode(ReplaceInvalidUtf8(text), options, ids);
  std::unique_ptr<BpeEncoder> encoder = encoders_->Take();
  const auto encode_plain = [&](std::string_view piece) {
    pre_tokenizer_.Split(piece, [&](std::string_view word) { encoder->Encode(word, ids); });
  };
  if (options.added_tokens) {
    matcher_.Split(text, [&](std::string_view piece, int32_t id) {
      if (id >= 0) {
        ids.push_back(id);
      } else {
        encode_plain(piece);
      }
    });
  } else {
    std::string buffer;
    encode_plain(extras_.normalizer.Apply(text, buffer));
  }
  encoders_->Return(std::move(encoder));
}

std::string Tokenizer::Decode(std::span<const int32_t> ids, bool skip_special) const {
  std::string text;
  for (const int32_t id : ids) {
    if (!(skip_special && IsSpecial(id))) text += TokenBytes(id);
  }
  return text;
}

std::string_view Tokenizer::TokenBytes(int32_t id) const {
  return HasToken(id) ? entries_[id].bytes : std::string_view();
}

bool Tokenizer::HasToken(int32_t id) const {
  return id >= 0 && static_cast<size_t>(id) < entries_.size() && entries_[id].exists;
}

bool Tokenizer::IsSpecial(int32_t id) const { return HasToken(id) && entries_[id].special; }

std::optional<int32_t> Tokenizer::AddedTokenId(std::string_view content) const {
  const auto found = added_ids_.find(content);
  if (found == added_ids_.end()) return std::nullopt;
  return found->second;
}

int32_t Tokenizer::RequireAddedTokenId(std::string_view content) const {
  const auto id = AddedTokenId(content);
  if (!id) {
    throw Error("tokenizer",
                fmt::format("there is no special token '{}' in this vocabulary", content));
  }
  return *id;
}

uint64_t Tokenizer::ComputeFingerprint() const {
  // Lengths go before contents, so that no two vocabularies are the same row of bytes.
  Hash64 hash;
  hash.UpdateField(extras_.normalizer.forms().size());
  for (const Normalizer::Form form : extras_.normalizer.forms()) {
    hash.UpdateField(static_cast<uint64_t>(form));
  }
  hash.UpdateField(pre_tokenizer_.steps().size());
  for (const PreTokenizerStep& step : pre_tokenizer_.steps()) {
    hash.UpdateField(static_cast<uint64_t>(step.kind));
    hash.UpdateField(static_cast<uint64_t>(step.behavior) * 2 + step.invert);
    hash.UpdateField(step.pattern);
  }
  const ByteLevelStep& byte_level = pre_tokenizer_.byte_level();
  hash.UpdateField((byte_level.add_prefix_space ? 1 : 0) + (byte_level.use_regex ? 2 : 0));
  hash.UpdateField(model_->whole_words());
  hash.UpdateField(model_->tokens().size());
  for (const VocabularyToken& token : model_->tokens()) {
    hash.UpdateField(static_cast<uint64_t>(token.kind));
    hash.UpdateField(token.bytes);
  }
  hash.UpdateField(model_->merges().size());
  for (const Merge& merge : model_->merges()) {
    hash.UpdateField(static_cast<uint32_t>(merge.left));
    hash.UpdateField(static_cast<uint32_t>(merge.right));
  }
  hash.UpdateField(added_.size());
  for (const AddedToken& token : added_) {
    hash.UpdateField(static_cast<uint32_t>(token.id));
    hash.UpdateField((token.special ? 1 : 0) + (token.normalized ? 2 : 0) + (token.lstrip ? 4 : 0) +
                     (token.rstrip ? 8 : 0) + (token.single_word ? 16 : 0));
    hash.UpdateField(token.content);
  }
  return hash.Digest();
}

}  // namespace fathom
