#include "base/file_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace fathom {

FileLock::FileLock(const std::filesystem::path& path)
    : descriptor_(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
  if (descriptor_ < 0)
    throw Error(path.string(), fmt::format("cannot be opened: {}", std::strerror(errno)));
  if (flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return;
  const int error = errno;
  close(descriptor_);
  if (error == EWOULDBLOCK)
    throw Error(path.string(), "is being written by another run", "wait for it to end");
  throw Error(path.string(), fmt::format("cannot be locked: {}", std::strerror(error)));
}

FileLock::~FileLock() { close(descriptor_); }

}  // namespace fathom
