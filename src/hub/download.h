#pragma once

#include <cstdint>
#include <filesystem>

#include "hub/hub_client.h"
#include "hub/listing.h"
#include "hub/pull_plan.h"
#include "hub/pull_record.h"

namespace fathom {

struct DownloadOptions {
  int jobs = 4;        // files at a time
  bool quiet = false;  // no progress line
};

// Downloads what the plan says, several files at a time: each into a part, tried again as `hub`
// says, verified, put in its place and noted in the record, which is saved after every file. A
// checksum that is wrong twice is an Error. The first error stops everything and is thrown; so is
// Cancelled; parts stay. Returns the bytes received, those of failed tries included.
int64_t DownloadFiles(const HubOptions& hub, const HubListing& listing, const PullPlan& plan,
                      const std::filesystem::path& directory, PullRecord& record,
                      const DownloadOptions& options);

}  // namespace fathom
