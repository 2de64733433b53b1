#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace fathom {

// A whole file mapped read-only. Pages come in as they are touched and belong to the page cache.
class MappedFile {
 public:
  // Throws Error when the file cannot be opened or mapped. An empty file maps to an empty span.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// Gives the memory of mapped pages back, that of the pages at both ends too; they come in again
// when they are touched.
void ReleasePages(std::span<const std::byte> mapped);

// The whole content. Throws Error (missing, a directory, unreadable).
std::string ReadFile(const std::filesystem::path& path);

// A file being written beside its final place: Commit() flushes it to the disk and renames it into
// place, so that a reader (or the next run after a crash) sees the old content or the new one,
// never a part. Destroyed without Commit(), it removes what it wrote. Every failure, a full disk
// too, is an Error that names the path.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void Write(const void* data, size_t size);
  void Write(std::string_view text) { Write(text.data(), text.size()); }
  // At a place of the file, wherever Write is.
  void WriteAt(uint64_t offset, const void* data, size_t size);
  void Commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int descriptor_ = -1;
};

void WriteFileAtomically(const std::filesystem::path& path, std::string_view content);

// Makes the names in a directory (files created or renamed there) survive a power cut.
void SyncDirectory(const std::filesystem::path& directory);

// Fills a fresh directory beside `final` by calling fill(temporary), flushes everything in it and
// renames it into place. An existing `final` is replaced in one step (on the few file systems that
// cannot exchange two names, in two). What fill throws is passed on and nothing is left behind.
// Leftovers of a killed earlier attempt at the same place are removed first.
void WriteDirectoryAtomically(
    const std::filesystem::path& final,
    const std::function<void(const std::filesystem::path& temporary)>& fill);

}  // namespace fathom
