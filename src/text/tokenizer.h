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
#include "text/pretokenizer.h"

namespace fathom {

struct EncodeOptions {
  // false: every string is plain text, "<｜User｜>" too. What a user of a server writes has to be
  // encoded so, or it could end its own turn and speak as the assistant.
  bool added_tokens = true;
};

// Text to token ids and back, as a model directory's tokenizer.json says. Immutable; safe to use
// from several threads at once. Adds nothing of its own (no begin-of-sentence): callers add special
// tokens by id.
class Tokenizer {
 public:
  // added: ids beyond the model's vocabulary, or of tokens in it with the same content; throws
  // Error (with `where`) on a clash.
  Tokenizer(PreTokenizer pre_tokenizer, BpeModel model, std::vector<AddedToken> added,
            std::string_view where = "tokenizer");
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  // A tokenizer.json, or a directory that holds one: byte-level BPE behind a sequence of Splits.
  // Whatever else in the file would change the ids is an Error that names it.
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

  const PreTokenizer& pre_tokenizer() const { return pre_tokenizer_; }
  const BpeModel& model() const { return *model_; }
  const std::vector<AddedToken>& added_tokens() const { return added_; }

  // A hash of everything that decides which ids a text gets, the same on every machine and after
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
