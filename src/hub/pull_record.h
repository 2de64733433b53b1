#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "hub/checksum.h"

namespace fathom {

// What `fathom pull` knows of a directory: .fathom-pull.json in it. With it, a file that was
// verified once is not read again, and a part is only gone on with when it is one of the same
// content.
struct PullRecord {
  struct File {
    Checksum checksum;  // verified
    int64_t size;
    int64_t
        modified;  // when the file was put in place, ns since 1970: whoever changes it changes this
  };

  static constexpr const char* kName = ".fathom-pull.json";

  // Empty when there is none yet. Throws Error when it cannot be read.
  static PullRecord Load(const std::filesystem::path& directory);
  void Save(const std::filesystem::path& directory) const;

  std::string repository, commit;
  std::map<std::string, File, std::less<>> files;
  // What the content of NAME.part will be.
  std::map<std::string, Checksum, std::less<>> parts;
};

}  // namespace fathom
