#include "hub/pull_plan.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "base/error.h"
#include "hub/part_file.h"

namespace fathom {
namespace fs = std::filesystem;
namespace {

// Nothing when there is nothing of that name. A symbolic link is not followed.
std::optional<struct stat> Status(const fs::path& path) {
  struct stat info {};
  if (lstat(path.c_str(), &info) == 0) return info;
  if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
  throw Error(path.string(), std::strerror(errno));
}

int64_t ModificationTime(const struct stat& info) {
  return int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
}

// Whether what is at `place` is the file, verified; if not, it may be replaced.
bool IsThere(const fs::path& place, const HubFile& file, bool verify, PullRecord& record,
             const std::function<void(int64_t)>& read) {
  const auto info = Status(place);
  if (!info) return false;
  const auto known = record.files.find(file.name);
  const bool is_ours = S_ISREG(info->st_mode) && known != record.files.end() &&
                       known->second.size == info->st_size &&
                       known->second.modified == ModificationTime(*info);
  if (is_ours && known->second.checksum != file.checksum) return false;  // of another commit
  if (is_ours && !verify) return true;
  if (S_ISREG(info->st_mode) && info->st_size == file.size &&
      ChecksumOfFile(place, file.checksum.kind, file.size, read) == file.checksum) {
    record.files.insert_or_assign(
        file.name, PullRecord::File{file.checksum, file.size, ModificationTime(*info)});
    return true;
  }
  if (is_ours) return false;  // damaged on the disk
  throw Error(place.string(), "is there, and it is not the hub's file",
              "remove it, or choose another directory");
}

}  // namespace

int64_t ModificationTime(const fs::path& path) {
  const auto info = Status(path);
  if (!info) throw Error(path.string(), "has disappeared");
  return ModificationTime(*info);
}

PullPlan::PullPlan(const HubListing& listing, const fs::path& directory, bool verify,
                   PullRecord& record, const std::function<void(int64_t)>& read) {
  for (const HubFile& file : listing.files) {
    if (file.name.starts_with(PullRecord::kName) || file.name.ends_with(".part")) {
      throw Error(file.name, "this name is kept for files of `fathom pull` itself",
                  "leave it out with --exclude");
    }
    const fs::path place = directory / file.name;
    const fs::path part = PartPath(place);
    const auto begun = record.parts.find(file.name);
    // Before the record says otherwise: an interrupted run must not take it for the new content.
    if (begun != record.parts.end() && begun->second != file.checksum) {
      std::error_code ignored;
      fs::remove(part, ignored);
    }
    download.push_back(!IsThere(place, file, verify, record, read));
    if (!download.back()) {
      record.parts.erase(file.name);
      continue;
    }
    int64_t arrived = 0;
    if (const auto info = Status(part); info && S_ISREG(info->st_mode)) {
      if (begun == record.parts.end()) {
        throw Error(part.string(), "is there, and it is not known what it is a part of",
                    "remove it, or choose another directory");
      }
      if (info->st_size <= file.size) arrived = info->st_size;
    }
    remaining += file.size - arrived;
    record.parts.insert_or_assign(file.name, file.checksum);
  }
}

}  // namespace fathom
