#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "base/function_ref.h"
#include "hub/checksum.h"
#include "hub/listing.h"

namespace fathom {

// The checksum of a file on the disk; `read` is told of every piece, in bytes. Throws Error.
Checksum ChecksumOfFile(const std::filesystem::path& path, Checksum::Kind kind, int64_t size,
                        FunctionRef<void(int64_t bytes)> read);

// Where the part of a file lies until it is whole.
std::filesystem::path PartPath(const std::filesystem::path& place);

// Makes the folders of `name` inside `directory`. A symbolic link among them is an Error: it could
// lead elsewhere.
void MakeFolders(const std::filesystem::path& directory, std::string_view name);

// What has arrived of a file, beside its place, with the checksum so far. What is written survives
// a kill; every failure, a full disk too, is an Error that names the path.
class PartFile {
 public:
  // Goes on with what is there; `read` as above. Throws Error, and what `read` throws.
  PartFile(const std::filesystem::path& place, const HubFile& file,
           FunctionRef<void(int64_t bytes)> read);
  ~PartFile();
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  int64_t size() const { return size_; }
  // At most up to the file's size.
  void Append(std::string_view data);
  // Back to nothing.
  void Restart();
  // With all bytes there: whether they are the file's. If so the file is flushed to the disk and
  // put in its place; if not the part is removed.
  bool Commit();

 private:
  std::filesystem::path place_, path_;
  const HubFile& file_;
  int descriptor_ = -1;
  int64_t size_ = 0;
  ChecksumStream checksum_;
};

}  // namespace fathom
