#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <utility>

#include "base/directories.h"
#include "base/error.h"

namespace fathom {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void ThrowErrno(const fs::path& path, std::string_view doing, int code) {
  std::string_view hint;
  if (code == ENOSPC || code == EDQUOT)
    hint = "free some space on that disk; what was there before is untouched";
  if (code == ENOENT) hint = "check the path";
  if (code == EACCES) hint = "check the permissions";
  throw Error(path.string(), fmt::format("{}: {}", doing, std::strerror(code)), hint);
}

void SyncPath(const fs::path& path, int flags) {
  const int descriptor = open(path.c_str(), flags | O_CLOEXEC);
  if (descriptor < 0) ThrowErrno(path, "cannot be opened", errno);
  const int result = fsync(descriptor);
  const int code = errno;
  close(descriptor);
  if (result != 0) ThrowErrno(path, "cannot be flushed to the disk", code);
}

// Where the next content of `path` is written. What a killed process left there is overwritten.
fs::path TemporaryBeside(const fs::path& path) {
  fs::path temporary = path;
  temporary += ".partial";
  return temporary;
}

// Puts directory `fresh` in the place of directory `final`, which becomes `fresh`, in one step;
// false when this file system cannot.
bool ExchangeDirectories(const fs::path& fresh, const fs::path& final) {
  return renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, final.c_str(), RENAME_EXCHANGE) == 0;
}

}  // namespace

MappedFile::MappedFile(const fs::path& path) : path_(path) {
  // O_NONBLOCK: a pipe is refused below, not waited for.
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) ThrowErrno(path, "cannot be opened", errno);
  struct stat info {};
  if (fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode)) {
    close(descriptor);
    throw Error(path.string(), "is not a regular file");
  }
  size_ = static_cast<size_t>(info.st_size);
  if (size_ > 0) {
    void* data = mmap(nullptr, size_, PROT_READ, MAP_SHARED, descriptor, 0);
    const int code = errno;
    close(descriptor);
    if (data == MAP_FAILED) ThrowErrno(path, "cannot be mapped", code);
    data_ = static_cast<const std::byte*>(data);
  } else {
    close(descriptor);
  }
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

void ReleasePages(std::span<const std::byte> mapped) {
  if (mapped.empty()) return;
  static const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const size_t before = reinterpret_cast<uintptr_t>(mapped.data()) % page;
  auto* const begin = const_cast<std::byte*>(mapped.data()) - before;
  // It is advice: what it returns does not matter.
  madvise(begin, before + mapped.size(), MADV_DONTNEED);
}

std::string ReadFile(const fs::path& path) {
  const MappedFile file(path);
  return std::string(file.text());
}

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)), temporary_(TemporaryBeside(path_)) {
  descriptor_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor_ < 0) ThrowErrno(temporary_, "cannot be created", errno);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  close(descriptor_);
  unlink(temporary_.c_str());
}

void AtomicFile::Write(const void* data, size_t size) {
  const char* next = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = write(descriptor_, next, size);
    if (written < 0) {
      if (errno == EINTR) continue;
      ThrowErrno(path_, "cannot be written", errno);
    }
    next += written;
    size -= static_cast<size_t>(written);
  }
}

void AtomicFile::WriteAt(uint64_t offset, const void* data, size_t size) {
  const char* next = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = pwrite(descriptor_, next, size, static_cast<off_t>(offset));
    if (written < 0) {
      if (errno == EINTR) continue;
      ThrowErrno(path_, "cannot be written", errno);
    }
    next += written;
    offset += static_cast<uint64_t>(written);
    size -= static_cast<size_t>(written);
  }
}

void AtomicFile::Commit() {
  if (fsync(descriptor_) != 0) ThrowErrno(path_, "cannot be flushed to the disk", errno);
  const int result = close(std::exchange(descriptor_, -1));
  if (result != 0 || rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int code = errno;
    unlink(temporary_.c_str());
    ThrowErrno(path_, "cannot be put in place", code);
  }
  SyncDirectory(path_.has_parent_path() ? path_.parent_path() : fs::path("."));
}

void WriteFileAtomically(const fs::path& path, std::string_view content) {
  AtomicFile file(path);
  file.Write(content);
  file.Commit();
}

void SyncDirectory(const fs::path& directory) { SyncPath(directory, O_RDONLY | O_DIRECTORY); }

void WriteDirectoryAtomically(const fs::path& given,
                              const std::function<void(const fs::path&)>& fill) {
  const fs::path final = given.has_filename() ? given : given.parent_path();
  const fs::path temporary = TemporaryBeside(final);
  fs::path replaced = final;
  replaced += ".replaced";
  std::error_code ignored;
  fs::remove_all(temporary, ignored);
  try {
    // Where two renames were needed, a run may have been killed between them.
    if (!fs::exists(final) && fs::exists(replaced)) fs::rename(replaced, final);
    fs::remove_all(replaced);
    CreateDirectories(temporary);
    fill(temporary);
    for (const auto& entry : fs::recursive_directory_iterator(temporary)) {
      if (entry.is_symlink()) continue;
      if (entry.is_directory()) SyncDirectory(entry.path());
      if (entry.is_regular_file()) SyncPath(entry.path(), O_RDONLY);
    }
    SyncDirectory(temporary);
    if (fs::exists(final) && !ExchangeDirectories(temporary, final)) fs::rename(final, replaced);
    if (!fs::exists(final)) fs::rename(temporary, final);
    SyncDirectory(final.has_parent_path() ? final.parent_path() : fs::path("."));
    // Whatever was replaced.
    fs::remove_all(temporary, ignored);
    fs::remove_all(replaced, ignored);
  } catch (const fs::filesystem_error& error) {
    fs::remove_all(temporary, ignored);
    ThrowErrno(error.path1().empty() ? final : error.path1(), "cannot be written",
               error.code().value());
  } catch (...) {
    fs::remove_all(temporary, ignored);
    throw;
  }
}

}  // namespace fathom
