#pragma once

#include <filesystem>
#include <string>

namespace fathom {

// A new folder in the system's place for temporary files, removed with all it holds at the end.
class ScratchDirectory {
 public:
  // name: what its own begins with. Throws Error when it cannot be made.
  explicit ScratchDirectory(const std::string& name);
  ~ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace fathom
