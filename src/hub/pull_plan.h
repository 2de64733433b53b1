#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "hub/listing.h"
#include "hub/pull_record.h"

namespace fathom {

// What is to be done for the files of a listing in a directory.
struct PullPlan {
  std::vector<bool> download;  // of every file of the listing; the others are there
  int64_t remaining = 0;       // bytes of those to download, without their parts

  // Looks at what is there, reads what has to be verified, brings the record up to date with it and
  // removes parts of other content. Throws Error when a file that Pull has not put there is in the
  // way; what `read` (told of bytes read) throws is passed on.
  PullPlan(const HubListing& listing, const std::filesystem::path& directory, bool verify,
           PullRecord& record, const std::function<void(int64_t bytes)>& read);
};

// When a file was last changed, ns since 1970.
int64_t ModificationTime(const std::filesystem::path& path);

}  // namespace fathom
