#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "base/function_ref.h"

namespace fathom {

// Reads the lines of a file that somebody else is writing, each once it is whole, and notices when
// it has become another file: a run that is resumed replaces its log by a shorter one.
class LogFollower {
 public:
  // A longer line is passed over.
  static constexpr size_t kMostLine = 4 << 20;

  explicit LogFollower(std::filesystem::path path) : path_(std::move(path)) {}

  // Reads what has come, about `most` bytes of it at a time. Where the file is not the one that was
  // read before, anew() is called first, and lines come from its beginning again.
  void Read(size_t most, FunctionRef<void()> anew,
            FunctionRef<void(std::string_view line, uint64_t offset)> take);

  // Whether a file is there.
  bool exists() const { return exists_; }
  // How far it has been read, and how long it was then.
  uint64_t position() const { return position_; }
  uint64_t size() const { return size_; }
  // Whether whole lines may be waiting.
  bool behind() const { return behind_; }
  // Lines that were too long.
  int64_t passed_over() const { return passed_over_; }

 private:
  bool IsTheSame(int descriptor, uint64_t device, uint64_t inode) const;
  void Forget();

  std::filesystem::path path_;
  uint64_t device_ = 0, inode_ = 0, position_ = 0, size_ = 0;
  bool exists_ = false, behind_ = false, passing_over_ = false;
  int64_t passed_over_ = 0;
  std::string last_read_;  // the bytes before position_, to know them by
};

// The part of a regular file that begins at offset, at most `most` bytes; empty where there is
// none. A file that is a link is none: a run directory may come from somebody else.
std::string ReadPart(const std::filesystem::path& path, uint64_t offset, size_t most);

}  // namespace fathom
