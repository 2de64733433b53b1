#include "cli/line_reader.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/interrupt.h"

namespace fathom {
namespace {

// A terminal throws away what was typed when Ctrl-C is pressed, so that a read may find nothing
// where poll saw a line, and must not wait then. stdin itself is left as it is: whoever started
// this process shares its flags.
int OpenStandardInput() {
  if (isatty(STDIN_FILENO) == 0) return STDIN_FILENO;
  const int opened = open("/dev/stdin", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  // Another user's terminal, after `su`: its lines can be read, the gap stays.
  return opened >= 0 ? opened : STDIN_FILENO;
}

}  // namespace

LineReader::LineReader() : descriptor_(OpenStandardInput()) {}

LineReader::~LineReader() {
  if (descriptor_ != STDIN_FILENO) close(descriptor_);
}

LineReader::Result LineReader::Next(std::string& line) {
  for (size_t searched = 0;;) {
    if (const size_t newline = buffer_.find('\n', searched); newline != std::string::npos) {
      line.assign(buffer_, 0, newline);
      buffer_.erase(0, newline + 1);
      return Result::kLine;
    }
    searched = buffer_.size();
    if (!InterruptGuard::WaitReadable(descriptor_)) {
      buffer_.clear();
      return Result::kInterrupted;
    }
    char bytes[4096];
    const ssize_t size = read(descriptor_, bytes, sizeof(bytes));
    if (size > 0) {
      buffer_.append(bytes, static_cast<size_t>(size));
    } else if (size == 0 || errno == EIO) {  // EIO: the terminal is gone
      if (buffer_.empty()) return Result::kEnd;
      line = std::move(buffer_);
      buffer_.clear();
      return Result::kLine;
    } else if (errno != EAGAIN && errno != EINTR) {
      throw Error("stdin", std::strerror(errno));
    }
  }
}

}  // namespace fathom
