#include "text/word_counts.h"

#include <algorithm>
#include <cstring>
#include <functional>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "text/utf8.h"

namespace fathom {
namespace {

constexpr size_t kBlockBytes = 1 << 16;

}  // namespace

WordCounts::WordCounts() : table_(1 << 12, 0) {}

void WordCounts::Add(std::string_view word, int64_t count) {
  const size_t mask = table_.size() - 1;
  size_t slot = std::hash<std::string_view>()(word) & mask;
  for (; table_[slot] != 0; slot = (slot + 1) & mask) {
    Word& known = words_[table_[slot] - 1];
    if (known.bytes == word) {
      known.count += count;
      return;
    }
  }
  if (words_.size() >= UINT32_MAX - 1) throw Error("corpus", "more than 4 billion different words");
  words_.push_back({Keep(word), count});
  table_[slot] = static_cast<uint32_t>(words_.size());
  if (words_.size() * 2 > table_.size()) Grow();
}

void WordCounts::Add(const WordCounts& other) {
  for (const Word& word : other.words_) Add(word.bytes, word.count);
}

void WordCounts::AddText(const PreTokenizer& pre_tokenizer, std::string_view text) {
  if (!IsValidUtf8(text)) return AddText(pre_tokenizer, ReplaceInvalidUtf8(text));
  pre_tokenizer.Split(text, [&](std::string_view word) { Add(word); });
}

std::string_view WordCounts::Keep(std::string_view word) {
  if (word.size() > kBlockBytes / 4) {  // a block of its own, before the one being filled
    auto block = std::make_unique<char[]>(word.size());
    std::memcpy(block.get(), word.data(), word.size());
    const std::string_view kept(block.get(), word.size());
    blocks_.insert(blocks_.empty() ? blocks_.end() : blocks_.end() - 1, std::move(block));
    return kept;
  }
  if (word.size() > block_left_) {
    blocks_.push_back(std::make_unique<char[]>(kBlockBytes));
    block_left_ = kBlockBytes;
  }
  char* place = blocks_.back().get() + (kBlockBytes - block_left_);
  std::memcpy(place, word.data(), word.size());
  block_left_ -= word.size();
  return {place, word.size()};
}

void WordCounts::Grow() {
  table_.assign(table_.size() * 2, 0);
  const size_t mask = table_.size() - 1;
  for (size_t i = 0; i < words_.size(); ++i) {
    size_t slot = std::hash<std::string_view>()(words_[i].bytes) & mask;
    while (table_[slot] != 0) slot = (slot + 1) & mask;
    table_[slot] = static_cast<uint32_t>(i + 1);
  }
}

WordCounts CountWords(const PreTokenizer& pre_tokenizer,
                      std::span<const std::string_view> documents, ThreadPool& pool, bool quiet) {
  size_t total = 0;
  for (const std::string_view document : documents) total += document.size();
  // Thread t takes the documents whose first byte is in its share of all bytes.
  std::vector<WordCounts> counts(pool.threads());
  pool.Run([&](int thread) {
    const auto share = [&](int t) { return total * static_cast<size_t>(t) / counts.size(); };
    const size_t begin = share(thread);
    const size_t end = thread + 1 == pool.threads() ? total + 1 : share(thread + 1);
    // The first thread's share stands for all of them.
    Progress progress("counting words", "bytes", static_cast<double>(end - begin),
                      quiet || thread != 0);
    size_t position = 0;
    for (const std::string_view document : documents) {
      if (position >= begin && position < end) {
        InterruptGuard::ThrowIfRequested("tokenizer training");
        counts[thread].AddText(pre_tokenizer, document);
        progress.Update(static_cast<double>(position + document.size() - begin));
      }
      position += document.size();
    }
  });
  for (size_t thread = 1; thread < counts.size(); ++thread) counts[0].Add(counts[thread]);
  return std::move(counts[0]);
}

}  // namespace fathom
