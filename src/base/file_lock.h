#pragma once

#include <filesystem>

namespace fathom {

// A file that one process writes at a time: two runs would do the same work, and one would take the
// line away that the other is writing. The system lets go of the lock when the process ends,
// however it does.
class FileLock {
 public:
  // Makes an empty file where there is none. Throws Error when another process has the lock.
  explicit FileLock(const std::filesystem::path& path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int descriptor_;
};

}  // namespace fathom
