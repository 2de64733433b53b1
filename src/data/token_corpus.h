#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/thread_pool.h"
#include "data/source.h"
#include "data/token_store.h"

namespace fathom {

// Replaces `ids` by the tokens of a text, without any token before or after. Called from several
// threads at once.
using EncodeFunction = std::function<void(std::string_view text, std::vector<int32_t>& ids)>;

struct TokenizerInfo {
  EncodeFunction encode;
  // Ids are below it.
  int64_t vocabulary = 0;
  // A hash of everything that decides the tokens of a text.
  uint64_t fingerprint = 0;
};

struct HeldOutOptions {
  // The share of documents kept from training, whole ones, chosen by name (IsHeldOut).
  double fraction = 0;
  uint64_t seed = 0;
};

// A source as tokens in a directory: the part to train on and the held-out part, and corpus.json,
// which says from what they were made.
struct TokenCorpus {
  std::string name;
  std::shared_ptr<const TokenStore> train;
  std::shared_ptr<const TokenStore> held_out;
};

// Opens the corpus in `directory` if it was made from these very files (names, sizes, times of
// change), options and tokenizer, and its checksums are right; otherwise makes it, in place of
// whatever is there (with a warning, if that is damaged). Both with a progress line. Documents are
// tokenised on all threads of the pool, a few MiB of text at a time, so that memory does not grow
// with the corpus; the files are the same whatever the number of threads. Throws Error for bad
// sources (source.h, documents.h), a corpus without any document, and a full disk; nothing
// half-made is left then, and an older corpus stays as it was.
TokenCorpus MakeTokenCorpus(const SourceSpec& spec, const HeldOutOptions& held_out,
                            const TokenizerInfo& tokenizer, const std::filesystem::path& directory,
                            ThreadPool& pool, bool quiet = false);

}  // namespace fathom
