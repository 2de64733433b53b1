#include "hub/listing.h"

#include <algorithm>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/json.h"

namespace fathom {
namespace {

constexpr size_t kMostFiles = 100'000;
// 32 TiB; so many files of that size still have a sum in 64 bits.
constexpr int64_t kLargestFile = int64_t{1} << 45;

// Why a name cannot be the place of a file inside a directory, or "".
std::string_view WhatIsWrongWith(std::string_view name) {
  const auto is_control = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) == 0x7f;
  };
  if (name.empty()) return "is empty";
  if (std::any_of(name.begin(), name.end(), is_control)) return "has control characters";
  if (name.front() == '/') return "is an absolute path";
  while (true) {
    const size_t slash = name.find('/');
    const std::string_view component = name.substr(0, slash);
    if (component.empty() || component == ".") return "has an empty folder name";
    if (component == "..") return "leads out of the directory";
    if (component == ".git") return "lies in a .git folder";
    if (slash == std::string_view::npos) return "";
    name.remove_prefix(slash + 1);
  }
}

int64_t Size(const JsonValue& value) {
  const int64_t size = value.Int();
  if (size < 0 || size > kLargestFile) {
    throw Error(value.path(), fmt::format("{} is not the size of a file", size));
  }
  return size;
}

HubFile ParseFile(const JsonValue& json) {
  const JsonValue name = json.At("rfilename");
  if (const std::string_view wrong = WhatIsWrongWith(name.String()); !wrong.empty()) {
    throw Error(name.path(), fmt::format("a file name that {}", wrong),
                "the hub is broken or hostile; nothing was written");
  }
  if (const auto large = json.Find("lfs")) {
    const JsonValue digest = large->At("sha256");
    return {std::string(name.String()), Size(large->At("size")),
            Checksum(Checksum::Kind::kSha256, digest.String(), digest.path())};
  }
  const JsonValue digest = json.At("blobId");
  return {std::string(name.String()), Size(json.At("size")),
          Checksum(Checksum::Kind::kGitBlob, digest.String(), digest.path())};
}

}  // namespace

int64_t HubListing::bytes() const {
  int64_t sum = 0;
  for (const HubFile& file : files) sum += file.size;
  return sum;
}

HubListing ParseListing(std::string_view text, std::string_view where) {
  const JsonDocument document(text, where);
  const JsonValue commit = document.root().At("sha");
  HubListing listing{.commit = std::string(commit.String())};
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if ((listing.commit.size() != 40 && listing.commit.size() != 64) ||
      !std::all_of(listing.commit.begin(), listing.commit.end(), is_hex)) {
    throw Error(commit.path(), "is not the id of a commit");
  }
  const JsonValue siblings = document.root().At("siblings");
  const std::vector<JsonValue> files = siblings.Array();
  if (files.size() > kMostFiles) {
    throw Error(siblings.path(), fmt::format("{} files are more than a model has", files.size()));
  }
  std::set<std::string, std::less<>> names;
  for (const JsonValue& file : files) {
    listing.files.push_back(ParseFile(file));
    if (!names.insert(listing.files.back().name).second) {
      throw Error(file.path(), fmt::format("'{}' is listed twice", listing.files.back().name));
    }
  }
  return listing;
}

}  // namespace fathom
