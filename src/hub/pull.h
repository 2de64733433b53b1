#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "hub/file_selection.h"
#include "hub/hub_client.h"

namespace fathom {

struct PullOptions {
  HubOptions hub;
  FileSelection selection;
  std::filesystem::path directory;  // made if it is not there
  int jobs = 4;                     // files at a time
  bool verify = false;              // read again what was verified before
  bool quiet = false;               // no progress line
};

struct PulledFile {
  HubFile file;
  bool downloaded;  // or was there already
};

struct PullResult {
  std::string commit;
  std::vector<PulledFile> files;
  std::vector<std::string> left_out;  // names of the repository's other files
  int64_t received = 0;               // bytes, those of failed tries included
  double seconds = 0;
};

// Downloads files of a model, all of the commit that the revision is at the start. What is in the
// directory and has the right content stays; what an earlier run left unfinished is gone on with; a
// file in the way that Pull has not put there, or that was changed since, is an Error and stays.
// Throws Error also when it was interrupted (Ctrl-C), and for everything that goes wrong; the parts
// stay for the next run.
PullResult Pull(const PullOptions& options);

}  // namespace fathom
