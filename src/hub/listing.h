#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "hub/checksum.h"

namespace fathom {

struct HubFile {
  std::string name;  // relative, with '/' between folders; checked, see ParseListing
  int64_t size;      // bytes
  Checksum checksum;
};

// The files of a model at one commit.
struct HubListing {
  std::string commit;  // 40 or 64 hexadecimal digits
  std::vector<HubFile> files;

  int64_t bytes() const;
};

// Reads a hub's answer to GET /api/models/{repository}/revision/{revision}?blobs=true. Nothing in
// it is trusted: a name that would leave the directory it is written to (absolute, with "..",
// ".git" or control characters), a name that comes twice, a size that is none or a missing checksum
// is an Error that begins with `where`.
HubListing ParseListing(std::string_view json, std::string_view where);

}  // namespace fathom
