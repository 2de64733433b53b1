#include "hub/file_selection.h"

#include <fmt/ranges.h>
#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <span>

#include "base/error.h"

namespace fathom {
namespace {

constexpr std::array kModelFiles = {
    "config.json",       "generation_config.json",  "tokenizer.json", "tokenizer_config.json",
    "tokenizer.model",   "special_tokens_map.json", "vocab.json",     "merges.txt",
    "added_tokens.json", "chat_template*",          "*.safetensors",  "*.safetensors.index.json"};

template <typename Patterns>
bool MatchesAny(const std::string& name, const Patterns& patterns) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
  });
}

bool IsModelFile(const std::string& name) {
  return name.find('/') == std::string::npos && MatchesAny(name, kModelFiles);
}

bool HasName(const std::vector<HubFile>& files, const char* pattern) {
  return std::any_of(files.begin(), files.end(), [&](const HubFile& file) {
    return fnmatch(pattern, file.name.c_str(), 0) == 0;
  });
}

}  // namespace

HubListing FileSelection::Choose(const HubListing& listing, std::string_view where,
                                 std::vector<std::string>& left_out) const {
  HubListing chosen{.commit = listing.commit};
  for (const HubFile& file : listing.files) {
    const bool included = include.empty() ? IsModelFile(file.name) : MatchesAny(file.name, include);
    if (included && !MatchesAny(file.name, exclude)) {
      chosen.files.push_back(file);
    } else {
      left_out.push_back(file.name);
    }
  }
  if (include.empty() && exclude.empty() && !HasName(chosen.files, "*.safetensors")) {
    throw Error(where, "has no safetensors weights",
                HasName(listing.files, "*.gguf") ? "it has GGUF files: choose one, for instance "
                                                   "with --include '*Q8_0.gguf'"
                                                 : "--include '*' takes everything that it has");
  }
  if (chosen.files.empty()) {
    constexpr size_t kMostShown = 20;
    const size_t shown = std::min(kMostShown, left_out.size());
    throw Error(where, "no file is chosen by --include and --exclude",
                fmt::format("it has {}{}", fmt::join(std::span(left_out).first(shown), ", "),
                            left_out.size() > shown ? ", ..." : ""));
  }
  return chosen;
}

}  // namespace fathom
