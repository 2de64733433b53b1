#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/normalizer.h"
#include "text/pretokenizer.h"

namespace fathom {

struct EncodeOptions {
  // false: every string is plain text, "<｜User｜>" too. What a user of a server writes has to be
  // encoded so, or it could end its own turn and speak as the assistant.
  bool added_tokens = true;
};

// What a tokenizer.json's post-processor puts around a text (Llama 3: <|begin_of_text|> before it).
struct SurroundingTokens {
  std::vector<int32_t> before, after;
};

// The parts of a tokenizer.json that most files leave empty.
struct TokenizerExtras {
  Normalizer normalizer;
  SurroundingTokens surrounding;
  // The file's post_processor, which ToJson repeats; empty: none.
  std::string post_processor_json;
};

// Text to token ids and back, as a model directory's tokenizer.json says. Immutable; safe to use
// from several threads at once. Encode adds nothing of its own (no begin-of-sentence): what belongs
// around a whole text is in surrounding_tokens(), and callers add it or other tokens by id.
class Tokenizer {
 public:
  // added: ids beyond the model's vocabulary, or of tokens in it with the same content; throws
  // Error (with `where`) on a clash, and on surrounding tokens that do not exist.
  Tokenizer(PreTokenizer pre_tokenizer, BpeModel model, std::vector<AddedToken> added,
            std::string_view where = "tokenizer", TokenizerExtras extras = {});
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  // A tokenizer.json, or a directory that holds one: byte-level BPE behind normalizers (NFC, NFD,
  // NFKC, NFKD) and pre-tokenisers (Split, Digits, Punctuation, Whitespace, WhitespaceSplit,
  // ByteLevel) or sequences of them. Whatever else in the file would change the ids is an Error
  // that names it. Added tokens have the ids that the file gives them. The file is untrusted.
  static Tokenizer Load(const std::filesystem::path& path);
  static Tokenizer FromJson(std::string_view json, std::string_view where);

  // A tokenizer.json that Hugging Face `tokenizers` reads and that gives the same ids there.
  std::string ToJson() const;
  void Save(const std::filesystem::path& path) const;

  // Ill-formed UTF-8 is replaced by U+FFFD first (utf8.h).
  std::vector<int32_t> Encode(std::string_view text, const EncodeOptions& options = {}) const;
  // Appends to `ids` instead.
  void Encode(std::string_view text, const EncodeOptions& options, std::vector<int32_t>& ids) const;

  // The bytes of the tokens one after the other, which need not be well-formed UTF-8 (a model may
  // stop inside a character). Ids without a token add nothing: models pad their vocabularies.
  std::string Decode(std::span<const int32_t> ids, bool skip_special = false) const;

  // Empty for an id without a token.
  std::string_view TokenBytes(int32_t id) const;
  bool HasToken(int32_t id) const;
  // Whether it is an added token marked `special`.
  bool IsSpecial(int32_t id) const;

  // The id of an added token, by its content.
  std::optional<int32_t> AddedTokenId(std::string_view content) const;
  // The same; Error when there is none.
  int32_t RequireAddedTokenId(std::string_view content) const;

  // One more than the highest id.
  int32_t vocab_size() const { return static_cast<int32_t>(entries_.size()); }

  const Normalizer& normalizer() const { return extras_.normalizer; }
  const SurroundingTokens& surrounding_tokens() const { return extras_.surrounding; }
  const PreTokenizer& pre_tokenizer() const { return pre_tokenizer_; }
  const BpeModel& model() const { return *model_; }
  const std::vector<AddedToken>& added_tokens() const { return added_; }

  // A hash of everything that decides which ids Encode gives, the same on every machine and after
  // saving and loading. Token caches and checkpoints keep it.
  uint64_t fingerprint() const { return fingerprint_; }

 private:
  struct Entry {
    std::string_view bytes;
    bool exists = false;
    bool special = false;
  };
  class EncoderPool;

  uint64_t ComputeFingerprint() const;

  TokenizerExtras extras_;
  PreTokenizer pre_tokenizer_;
  std::unique_ptr<const BpeModel> model_;  // encoders point to it
  std::vector<AddedToken> added_;          // in ascending order of id
  AddedTokenMatcher matcher_;
  std::unordered_map<std::string_view, int32_t> added_ids_;
  std::vector<Entry> entries_;
  uint64_t fingerprint_ = 0;
  std::unique_ptr<EncoderPool> encoders_;
};

}  // namespace fathom
