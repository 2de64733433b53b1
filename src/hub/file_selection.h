#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hub/listing.h"

namespace fathom {

// Which files of a repository are wanted. Patterns are those of the shell (fnmatch), over the whole
// name; '*' matches '/' too.
struct FileSelection {
  std::vector<std::string> include;  // empty: what a model needs (below)
  std::vector<std::string> exclude;  // of what is included

  // The chosen files in the listing's order; those left out are added to `left_out`. Without
  // `include`: config.json, generation_config.json, tokenizer and chat template files,
  // *.safetensors and their index, all from the root of the repository. Throws Error, with what to
  // do, when nothing is chosen or there are no safetensors.
  HubListing Choose(const HubListing& listing, std::string_view where,
                    std::vector<std::string>& left_out) const;
};

}  // namespace fathom
