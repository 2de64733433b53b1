#include "hub/part_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace fathom {
namespace fs = std::filesystem;
namespace {

constexpr size_t kBlock = 1 << 20;

[[noreturn]] void ThrowErrno(const fs::path& path, std::string_view doing) {
  const int code = errno;
  std::string_view hint;
  if (code == ENOSPC || code == EDQUOT || code == EFBIG) {
    hint = "free some space on that disk; the same command goes on where this one stopped";
  }
  if (code == ELOOP) hint = "it is a symbolic link; remove it";
  throw Error(path.string(), fmt::format("{}: {}", doing, std::strerror(code)), hint);
}

// Reads a file to its end into a checksum; how many bytes there were.
int64_t ReadInto(ChecksumStream& checksum, int descriptor, const fs::path& path,
                 FunctionRef<void(int64_t)> on_read) {
  std::vector<char> block(kBlock);
  int64_t size = 0;
  while (true) {
    const ssize_t count = read(descriptor, block.data(), block.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) ThrowErrno(path, "cannot be read");
    if (count == 0) return size;
    checksum.Update(block.data(), static_cast<size_t>(count));
    size += count;
    on_read(count);
  }
}

struct Descriptor {
  int value;
  ~Descriptor() { close(value); }
};

}  // namespace

Checksum ChecksumOfFile(const fs::path& path, Checksum::Kind kind, int64_t size,
                        FunctionRef<void(int64_t)> on_read) {
  const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
  if (file.value < 0) ThrowErrno(path, "cannot be opened");
  ChecksumStream checksum(kind, size);
  ReadInto(checksum, file.value, path, on_read);
  return checksum.Finish();
}

fs::path PartPath(const fs::path& place) {
  fs::path path = place;
  path += ".part";
  return path;
}

void MakeFolders(const fs::path& directory, std::string_view name) {
  fs::path folder = directory;
  for (size_t slash; (slash = name.find('/')) != std::string_view::npos;) {
    folder /= name.substr(0, slash);
    name.remove_prefix(slash + 1);
    struct stat info {};
    if (mkdir(folder.c_str(), 0755) == 0) continue;
    if (errno != EEXIST) ThrowErrno(folder, "cannot be made");
    if (lstat(folder.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
      throw Error(folder.string(), "is there and is not a folder",
                  "remove it or choose another directory");
    }
  }
}

PartFile::PartFile(const fs::path& place, const HubFile& file, FunctionRef<void(int64_t)> on_read)
    : place_(place), path_(PartPath(place)), file_(file), checksum_(file.checksum.kind, file.size) {
  descriptor_ = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
  if (descriptor_ < 0) ThrowErrno(path_, "cannot be opened");
  try {
    struct stat info {};
    if (fstat(descriptor_, &info) != 0 || !S_ISREG(info.st_mode)) {
      throw Error(path_.string(), "is not a regular file");
    }
    if (info.st_size > file.size) {
      Restart();
    } else {
      size_ = ReadInto(checksum_, descriptor_, path_, on_read);
    }
  } catch (...) {
    close(descriptor_);
    throw;
  }
}

PartFile::~PartFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

void PartFile::Append(std::string_view data) {
  FATHOM_CHECK(size_ + static_cast<int64_t>(data.size()) <= file_.size);
  while (!data.empty()) {
    const ssize_t count = write(descriptor_, data.data(), data.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) ThrowErrno(path_, "cannot be written");
    checksum_.Update(data.data(), static_cast<size_t>(count));
    size_ += count;
    data.remove_prefix(static_cast<size_t>(count));
  }
}

void PartFile::Restart() {
  if (ftruncate(descriptor_, 0) != 0 || lseek(descriptor_, 0, SEEK_SET) != 0) {
    ThrowErrno(path_, "cannot be emptied");
  }
  size_ = 0;
  checksum_ = ChecksumStream(file_.checksum.kind, file_.size);
}

bool PartFile::Commit() {
  FATHOM_CHECK(size_ == file_.size);
  if (checksum_.Finish() != file_.checksum) {
    if (unlink(path_.c_str()) != 0) ThrowErrno(path_, "cannot be removed");
    return false;
  }
  if (fsync(descriptor_) != 0) ThrowErrno(path_, "cannot be flushed to the disk");
  if (rename(path_.c_str(), place_.c_str()) != 0) ThrowErrno(place_, "cannot be put in place");
  SyncDirectory(place_.parent_path());
  return true;
}

}  // namespace fathom
