#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/thread_pool.h"
#include "text/pretokenizer.h"

namespace fathom {

// How often each word (piece of the pre-tokeniser) occurs in some text.
class WordCounts {
 public:
  struct Word {
    std::string_view bytes;  // lives as long as the WordCounts
    int64_t count = 0;
  };

  WordCounts();

  void Add(std::string_view word, int64_t count = 1);
  void Add(const WordCounts& other);
  // Ill-formed UTF-8 counts as U+FFFD.
  void AddText(const PreTokenizer& pre_tokenizer, std::string_view text);

  // In no order that means anything.
  std::span<const Word> words() const { return words_; }

 private:
  std::string_view Keep(std::string_view word);
  void Grow();

  std::vector<Word> words_;
  std::vector<uint32_t> table_;  // index into words_ + 1; 0: free
  std::vector<std::unique_ptr<char[]>> blocks_;
  size_t block_left_ = 0;
};

// The words of all documents; no word goes over a border between two. Documents are shared out
// among the pool's threads.
WordCounts CountWords(const PreTokenizer& pre_tokenizer,
                      std::span<const std::string_view> documents, ThreadPool& pool,
                      bool quiet = true);

}  // namespace fathom
