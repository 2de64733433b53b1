#include "data/token_store.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace fathom {
namespace fs = std::filesystem;
namespace {

fs::path WithEnd(const fs::path& stem, std::string_view end) {
  fs::path path = stem;
  path += end;
  return path;
}

void CheckSize(const MappedFile& file, uint64_t count, uint64_t width) {
  // Division, so that a count from a damaged file cannot overflow.
  const uint64_t size = file.bytes().size();
  if (size % width == 0 && size / width == count) return;
  throw Error(file.path().string(),
              fmt::format("has {} bytes where {} entries of {} are recorded", size, count, width));
}

void CheckHash(
    const MappedFile& file, uint64_t expected,
    FunctionRef<void(uint64_t bytes)> done = [](uint64_t) {}) {
  constexpr size_t kBlock = size_t{4} << 20;
  const std::string_view content = file.text();
  Hash64 hash;
  for (size_t begin = 0; begin < content.size(); begin += kBlock) {
    const std::string_view block = content.substr(begin, kBlock);
    hash.Update(block.data(), block.size());
    done(begin + block.size());
  }
  if (hash.Digest() == expected) return;
  throw Error(file.path().string(), "is damaged: its checksum differs from the recorded one");
}

}  // namespace

TokenStore::TokenStore(const fs::path& stem, const TokenStoreSummary& summary, int64_t vocabulary)
    : summary_(summary),
      vocabulary_(vocabulary),
      token_file_(WithEnd(stem, ".tokens")),
      table_file_(WithEnd(stem, ".documents")) {
  if (summary.token_bytes != 2 && summary.token_bytes != 4) {
    throw Error(stem.string(), fmt::format("records ids of {} bytes", summary.token_bytes));
  }
  CheckSize(token_file_, summary.tokens, static_cast<uint64_t>(summary.token_bytes));
  CheckSize(table_file_, summary.documents, 2 * sizeof(uint64_t));
  CheckHash(table_file_, summary.table_hash);
  table_ = {reinterpret_cast<const uint64_t*>(table_file_.bytes().data()), 2 * summary.documents};
  uint64_t tokens = 0, bytes = 0;
  for (size_t i = 0; i < table_.size(); i += 2) {
    if (table_[i] <= tokens || table_[i + 1] < bytes) {
      throw Error(table_file_.path().string(),
                  fmt::format("document {} ends before it begins", i / 2));
    }
    tokens = table_[i];
    bytes = table_[i + 1];
  }
  if (tokens != summary.tokens || bytes != summary.bytes) {
    throw Error(
        table_file_.path().string(),
        fmt::format("its documents hold {} tokens and {} bytes where {} and {} are recorded",
                    tokens, bytes, summary.tokens, summary.bytes));
  }
}

void TokenStore::Copy(uint64_t document, uint64_t begin, uint64_t count, int32_t* ids) const {
  FATHOM_CHECK(document < documents() && begin <= DocumentTokens(document) &&
               count <= DocumentTokens(document) - begin);
  const std::byte* data =
      token_file_.bytes().data() +
      (TokenBegin(document) + begin) * static_cast<uint64_t>(summary_.token_bytes);
  uint32_t largest = 0;
  const auto copy = [&]<typename Id>(const Id* from) {
    for (uint64_t i = 0; i < count; ++i) {
      const uint32_t id = from[i];
      largest = std::max(largest, id);
      ids[i] = static_cast<int32_t>(id);
    }
  };
  if (summary_.token_bytes == 2) {
    copy(reinterpret_cast<const uint16_t*>(data));
  } else {
    copy(reinterpret_cast<const uint32_t*>(data));
  }
  if (largest >= static_cast<uint64_t>(vocabulary_) && count > 0) {
    throw Error(token_file_.path().string(),
                fmt::format("document {} holds token {}, outside the vocabulary of {}", document,
                            largest, vocabulary_),
                "delete this folder: it is made again from the text");
  }
}

void TokenStore::Verify(FunctionRef<void(uint64_t bytes)> done) const {
  CheckHash(token_file_, summary_.token_hash, done);
}

TokenStoreWriter::Output::Output(fs::path output_path)
    : path(std::move(output_path)), file(std::fopen(path.c_str(), "wbx")) {
  if (file == nullptr)
    throw Error(path.string(), fmt::format("cannot be created: {}", std::strerror(errno)));
}

void TokenStoreWriter::Output::Write(const void* data, size_t size) {
  hash.Update(data, size);
  if (std::fwrite(data, 1, size, file.get()) == size) return;
  throw Error(path.string(), fmt::format("cannot be written: {}", std::strerror(errno)),
              errno == ENOSPC ? "free some space on that disk" : "");
}

void TokenStoreWriter::Output::Finish() {
  const bool written = std::fflush(file.get()) == 0 && fsync(fileno(file.get())) == 0;
  const int code = errno;
  const bool closed = std::fclose(file.release()) == 0;
  if (written && closed) return;
  throw Error(path.string(),
              fmt::format("cannot be written: {}", std::strerror(written ? errno : code)),
              "is there space left on that disk?");
}

TokenStoreWriter::TokenStoreWriter(const fs::path& stem, int64_t vocabulary)
    : vocabulary_(vocabulary),
      tokens_(WithEnd(stem, ".tokens")),
      table_(WithEnd(stem, ".documents")) {
  FATHOM_CHECK(vocabulary > 0);
  summary_.token_bytes = vocabulary <= 65536 ? 2 : 4;
}

void TokenStoreWriter::Append(std::span<const int32_t> ids) {
  for (const int32_t id : ids) {
    if (id < 0 || id >= vocabulary_) {
      throw Error("tokenizer",
                  fmt::format("gave token {}, outside the vocabulary of {}", id, vocabulary_),
                  "does this tokenizer belong to this model?");
    }
  }
  if (summary_.token_bytes == 2) {
    narrow_.assign(ids.begin(), ids.end());
    tokens_.Write(narrow_.data(), narrow_.size() * sizeof(uint16_t));
  } else {
    tokens_.Write(ids.data(), ids.size() * sizeof(int32_t));
  }
  open_tokens_ += ids.size();
}

void TokenStoreWriter::EndDocument(uint64_t text_bytes) {
  if (open_tokens_ == 0) return;
  ++summary_.documents;
  summary_.tokens += open_tokens_;
  summary_.bytes += text_bytes;
  open_tokens_ = 0;
  const uint64_t entry[2] = {summary_.tokens, summary_.bytes};
  table_.Write(entry, sizeof(entry));
}

TokenStoreSummary TokenStoreWriter::Finish() {
  FATHOM_CHECK(open_tokens_ == 0);
  tokens_.Finish();
  table_.Finish();
  summary_.token_hash = tokens_.hash.Digest();
  summary_.table_hash = table_.hash.Digest();
  return summary_;
}

}  // namespace fathom
