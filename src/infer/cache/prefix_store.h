#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <list>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "infer/cache/prefix_key.h"

namespace fathom {

// Pages of prefixes in files, for the next process and for what does not fit into memory. A file is
// one whole page: its name is the key of the prefix that ends with it, its content the tokens, what
// the cache's rows hold, and a checksum over all of it. It is written beside and renamed into
// place, by a thread of its own, and never changed: whoever is killed leaves whole files and at
// most one piece that nobody reads and the next opening removes. What is damaged is removed when it
// is met, and is as if it had never been there. (Nothing is flushed to the disk: a power cut may
// leave holes in the youngest files, which the checksum finds.)
//
// The directory may be shared by models and by processes. It holds prompts and answers in the form
// of token ids: only its owner may read it.
class PrefixStore {
 public:
  // limit_bytes: of all files in the directory, whoever wrote them; the least recently used go
  // first. It can be exceeded by a sixteenth a process for a moment. page_bytes: of what the cache
  // keeps of one page. Throws Error when the directory cannot be made or read.
  PrefixStore(std::filesystem::path directory, int64_t limit_bytes, int64_t page_bytes);
  // Writes what is waiting first.
  ~PrefixStore();
  PrefixStore(const PrefixStore&) = delete;
  PrefixStore& operator=(const PrefixStore&) = delete;

  // Whether there is a file for this prefix, or one is waiting to be written.
  bool Contains(const PrefixKey& key) const;
  // Reads the page at the end of a prefix, whose last tokens are `tokens`, into `page`; false when
  // there is none or it is damaged.
  bool Load(const PrefixKey& key, std::span<const int32_t> tokens, std::span<std::byte> page);
  // Puts a page into the queue of the writer; false when the queue is full and it is left out.
  bool Save(const PrefixKey& key, std::span<const int32_t> tokens, std::vector<std::byte> page);
  // Waits until the queue is written.
  void Flush();

  struct Statistics {
    int64_t files = 0, bytes = 0;  // in the directory, as far as this process knows
    int64_t loaded = 0, saved = 0;
    int64_t damaged = 0;  // files removed because they were
    int64_t dropped = 0;  // pages that were not written: the queue or the disk was full
  };
  Statistics statistics() const;

 private:
  struct File {
    int64_t bytes;
    std::list<std::string>::iterator place;  // in by_use_
  };
  struct Job {
    std::string name;
    std::vector<std::byte> content;
  };

  std::filesystem::path PathOf(const std::string& name) const;
  // The following are called with the mutex held.
  void Scan();
  void Add(const std::string& name, int64_t bytes);
  void Forget(const std::string& name);
  void MakeRoom(int64_t bytes);

  void WriteLoop();
  void Write(const Job& job);

  std::filesystem::path directory_;
  int64_t limit_bytes_, page_bytes_;
  mutable std::mutex mutex_;
  std::condition_variable work_, done_;
  std::unordered_map<std::string, File> files_;  // by name: the key in hexadecimal
  std::list<std::string> by_use_;                // the least recently used first
  std::unordered_map<std::string, int64_t> queued_;
  std::deque<Job> queue_;
  int64_t queued_bytes_ = 0;
  int64_t written_since_scan_ = 0;
  bool stop_ = false, failed_ = false, writing_ = false;
  Statistics statistics_;
  std::thread writer_;
};

}  // namespace fathom
