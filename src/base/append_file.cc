#include "base/append_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace fathom {

AppendFile::AppendFile(std::filesystem::path path, std::string hint)
    : path_(std::move(path)), hint_(std::move(hint)), file_(std::fopen(path_.c_str(), "ab")) {
  if (file_ == nullptr)
    throw Error(path_.string(), fmt::format("cannot be opened: {}", std::strerror(errno)));
}

AppendFile::~AppendFile() { std::fclose(file_); }

void AppendFile::Write(std::string_view piece) {
  if (std::fwrite(piece.data(), 1, piece.size(), file_) == piece.size() && std::fflush(file_) == 0)
    return;
  throw Error(path_.string(), fmt::format("cannot be written: {}", std::strerror(errno)), hint_);
}

void AppendFile::Sync() {
  if (fdatasync(fileno(file_)) == 0) return;
  throw Error(path_.string(), fmt::format("cannot be written: {}", std::strerror(errno)), hint_);
}

}  // namespace fathom
