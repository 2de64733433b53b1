#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/function_ref.h"
#include "base/hash.h"

namespace fathom {

// What is known about the two files of a token store without opening them; kept by whoever owns
// them (token_corpus.h) and checked when they are opened.
struct TokenStoreSummary {
  uint64_t documents = 0;
  uint64_t tokens = 0;
  // Bytes of the text that the tokens stand for: what bits per byte are counted on.
  uint64_t bytes = 0;
  // 2 or 4, the width of an id on the disk.
  int token_bytes = 2;
  // XXH64 of the whole files.
  uint64_t token_hash = 0;
  uint64_t table_hash = 0;
};

// Documents as token ids, memory-mapped: NAME.tokens (uint16 or uint32 ids, little endian, document
// after document) and NAME.documents (for every document its end in tokens and its end in bytes of
// text, two uint64). Documents hold one token or more. Immutable, so any number of threads may
// read.
class TokenStore {
 public:
  // stem: the path without ".tokens". vocabulary: ids are below it. Throws Error when a file is
  // missing, has not the size or the checksum (the document table's; see Verify for the tokens)
  // that the summary says, or the table is not ascending.
  TokenStore(const std::filesystem::path& stem, const TokenStoreSummary& summary,
             int64_t vocabulary);

  uint64_t documents() const { return summary_.documents; }
  uint64_t tokens() const { return summary_.tokens; }
  uint64_t bytes() const { return summary_.bytes; }
  int64_t vocabulary() const { return vocabulary_; }
  const TokenStoreSummary& summary() const { return summary_; }

  uint64_t DocumentTokens(uint64_t document) const {
    return table_[2 * document] - TokenBegin(document);
  }
  uint64_t DocumentBytes(uint64_t document) const {
    return table_[2 * document + 1] - (document == 0 ? 0 : table_[2 * document - 1]);
  }

  // Copies ids [begin, begin + count) of a document. Throws Error on an id outside the vocabulary
  // (a damaged file).
  void Copy(uint64_t document, uint64_t begin, uint64_t count, int32_t* ids) const;

  // Reads all tokens and compares their checksum; throws Error when it differs. `done` is called
  // now and then with the bytes read so far, of token_bytes() in all.
  void Verify(FunctionRef<void(uint64_t bytes)> done) const;
  uint64_t token_bytes() const { return token_file_.bytes().size(); }

 private:
  uint64_t TokenBegin(uint64_t document) const {
    return document == 0 ? 0 : table_[2 * document - 2];
  }

  TokenStoreSummary summary_;
  int64_t vocabulary_;
  MappedFile token_file_;
  MappedFile table_file_;
  std::span<const uint64_t> table_;
};

// Writes the two files as the documents come, keeping none of them in memory. Give it a stem inside
// a directory that is put in place as a whole (WriteDirectoryAtomically).
class TokenStoreWriter {
 public:
  TokenStoreWriter(const std::filesystem::path& stem, int64_t vocabulary);

  // The document under way may be given in parts. Throws Error on an id outside the vocabulary (the
  // tokenizer does not fit) and when the disk is full.
  void Append(std::span<const int32_t> ids);
  // Ends the document: text_bytes is the length of its text. One without tokens is dropped.
  void EndDocument(uint64_t text_bytes);

  // Flushes and closes both files.
  TokenStoreSummary Finish();

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  struct Output {
    explicit Output(std::filesystem::path output_path);
    void Write(const void* data, size_t size);
    void Finish();

    std::filesystem::path path;
    std::unique_ptr<std::FILE, Close> file;
    Hash64 hash;
  };

  int64_t vocabulary_;
  Output tokens_;
  Output table_;
  TokenStoreSummary summary_;
  uint64_t open_tokens_ = 0;
  std::vector<uint16_t> narrow_;
};

}  // namespace fathom
