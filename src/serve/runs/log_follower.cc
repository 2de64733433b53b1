#include "serve/runs/log_follower.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace fathom {
namespace {

constexpr size_t kPiece = 1 << 20, kRemembered = 64;

// A regular file opened for reading. Neither links nor what would keep a reader waiting (a pipe).
class OpenedFile {
 public:
  explicit OpenedFile(const std::filesystem::path& path)
      : descriptor_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)) {
    if (descriptor_ < 0) return;
    if (fstat(descriptor_, &status_) == 0 && S_ISREG(status_.st_mode)) return;
    close(descriptor_);
    descriptor_ = -1;
  }
  ~OpenedFile() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  OpenedFile(const OpenedFile&) = delete;
  OpenedFile& operator=(const OpenedFile&) = delete;

  explicit operator bool() const { return descriptor_ >= 0; }
  int descriptor() const { return descriptor_; }
  uint64_t device() const { return status_.st_dev; }
  uint64_t inode() const { return status_.st_ino; }
  uint64_t size() const { return static_cast<uint64_t>(status_.st_size); }

 private:
  int descriptor_;
  struct stat status_ = {};
};

// What there is of [offset, offset + most).
std::string ReadAt(int descriptor, uint64_t offset, size_t most) {
  std::string bytes(most, '\0');
  size_t count = 0;
  while (count < most) {
    const ssize_t n =
        pread(descriptor, bytes.data() + count, most - count, static_cast<off_t>(offset + count));
    if (n <= 0) break;
    count += static_cast<size_t>(n);
  }
  bytes.resize(count);
  return bytes;
}

}  // namespace

void LogFollower::Forget() {
  position_ = 0;
  passed_over_ = 0;
  passing_over_ = false;
  last_read_.clear();
}

bool LogFollower::IsTheSame(int descriptor, uint64_t device, uint64_t inode) const {
  return device == device_ && inode == inode_ &&
         ReadAt(descriptor, position_ - last_read_.size(), last_read_.size()) == last_read_;
}

void LogFollower::Read(size_t most, FunctionRef<void()> anew,
                       FunctionRef<void(std::string_view line, uint64_t offset)> take) {
  behind_ = false;
  const OpenedFile file(path_);
  if (!file) {
    // Between two files of that name, or the folder has gone.
    if (exists_ && position_ > 0) anew();
    Forget();
    exists_ = false;
    size_ = 0;
    return;
  }
  if (exists_ && !IsTheSame(file.descriptor(), file.device(), file.inode())) {
    if (position_ > 0) anew();
    Forget();
  }
  exists_ = true;
  device_ = file.device();
  inode_ = file.inode();
  size_ = file.size();
  const uint64_t stop = std::min<uint64_t>(size_, position_ + most);
  size_t piece = kPiece;
  while (position_ < stop) {
    const std::string bytes =
        ReadAt(file.descriptor(), position_, std::min<uint64_t>(piece, size_ - position_));
    size_t begin = 0;
    for (size_t end; (end = bytes.find('\n', begin)) != std::string::npos; begin = end + 1) {
      if (!passing_over_)
        take(std::string_view(bytes).substr(begin, end - begin), position_ + begin);
      passing_over_ = false;
    }
    if (begin == 0) {
      // Not one whole line in it.
      if (passing_over_) {
        begin = bytes.size();
      } else if (bytes.size() >= kMostLine) {
        ++passed_over_;
        passing_over_ = true;
        begin = bytes.size();
      } else if (bytes.size() == size_ - position_ || bytes.size() < piece) {
        return;  // the rest has not been written yet
      } else {
        piece = kMostLine;
        continue;
      }
    }
    piece = kPiece;
    position_ += begin;
    const size_t known = std::min(kRemembered, begin);
    last_read_ = bytes.substr(begin - known, known);
    if (bytes.empty()) return;  // it has become shorter meanwhile
  }
  behind_ = position_ < size_;
}

std::string ReadPart(const std::filesystem::path& path, uint64_t offset, size_t most) {
  const OpenedFile file(path);
  if (!file || offset >= file.size()) return {};
  return ReadAt(file.descriptor(), offset, std::min<uint64_t>(most, file.size() - offset));
}

}  // namespace fathom
