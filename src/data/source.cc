#include "data/source.h"

#include <fmt/ranges.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <set>
#include <utility>

#include "base/error.h"

namespace fathom {
namespace fs = std::filesystem;
namespace {

using Identity = std::pair<dev_t, ino_t>;

constexpr int kMaxDepth = 128;

bool NameMatches(const std::string& file_name, const std::string& extension) {
  if (extension.empty()) return file_name.find('.') == std::string::npos;
  return file_name.size() > extension.size() && file_name.ends_with(extension);
}

bool IsWanted(const SourceSpec& spec, const std::string& file_name) {
  return std::any_of(spec.extensions.begin(), spec.extensions.end(),
                     [&](const std::string& e) { return NameMatches(file_name, e); });
}

FileKind KindOf(const std::string& file_name) {
  if (file_name.ends_with(".jsonl")) return FileKind::kJsonLines;
  if (file_name.ends_with(".jsonl.zst")) return FileKind::kCompressedJsonLines;
  return FileKind::kText;
}

std::string DescribeExtension(const std::string& extension) {
  return extension.empty() ? "(none)" : extension;
}

std::string DescribeWanted(const SourceSpec& spec) {
  std::vector<std::string> names;
  for (const auto& extension : spec.extensions) names.push_back(DescribeExtension(extension));
  return fmt::format("{}", fmt::join(names, ", "));
}

struct Walk {
  const SourceSpec& spec;
  std::set<Identity> visited;
  std::vector<SourceFile> files;
  // Extensions of the files that were not taken, to name them when nothing was.
  std::map<std::string, int> others;

  void Folder(const fs::path& folder, const std::string& prefix, int depth);
  void File(const fs::path& path, const std::string& name, const struct stat& info);
};

void Walk::File(const fs::path& path, const std::string& name, const struct stat& info) {
  const std::string file_name = path.filename().string();
  if (!IsWanted(spec, file_name)) {
    ++others[path.extension().string()];
    return;
  }
  if (!visited.emplace(info.st_dev, info.st_ino).second) return;
  files.push_back({path, name, KindOf(file_name), static_cast<uint64_t>(info.st_size),
                   int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec});
}

void Walk::Folder(const fs::path& folder, const std::string& prefix, int depth) {
  if (depth > kMaxDepth) {
    throw Error(folder.string(), fmt::format("lies more than {} folders deep", kMaxDepth));
  }
  std::error_code code;
  std::vector<std::string> names;
  for (fs::directory_iterator entries(folder, code), end; !code && entries != end;
       entries.increment(code)) {
    names.push_back(entries->path().filename().string());
  }
  if (code) {
    throw Error(folder.string(), fmt::format("cannot be listed: {}", code.message()),
                "check the permissions, or take the folder out of the source");
  }
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    struct stat info {};
    if (stat((folder / name).c_str(), &info) != 0) continue;  // a dangling link, or just deleted
    if (S_ISREG(info.st_mode)) {
      File(folder / name, prefix + name, info);
    } else if (S_ISDIR(info.st_mode) && visited.emplace(info.st_dev, info.st_ino).second) {
      Folder(folder / name, prefix + name + "/", depth + 1);
    }
  }
}

}  // namespace

std::vector<SourceFile> ListFiles(const SourceSpec& spec) {
  struct stat info {};
  if (stat(spec.path.c_str(), &info) != 0) {
    throw Error(spec.path.string(), fmt::format("cannot be read: {}", std::strerror(errno)),
                "check the path of this data source");
  }
  Walk walk{spec, {}, {}, {}};
  if (S_ISREG(info.st_mode)) {
    const std::string name = spec.path.filename().string();
    if (!IsWanted(spec, name)) {
      const bool reads_rows =
          std::all_of(spec.extensions.begin(), spec.extensions.end(),
                      [](std::string_view wanted) { return wanted.starts_with(".jsonl"); });
      throw Error(
          spec.path.string(),
          fmt::format("has an extension that is not read as data ({})", DescribeWanted(spec)),
          reads_rows ? "what is read here is one JSON object a line"
                     : "list its extension in 'extensions' to read it as plain text");
    }
    walk.File(spec.path, name, info);
    return walk.files;
  }
  if (!S_ISDIR(info.st_mode)) throw Error(spec.path.string(), "is neither a file nor a folder");
  walk.visited.emplace(info.st_dev, info.st_ino);
  walk.Folder(spec.path, "", 0);
  if (walk.files.empty()) {
    std::vector<std::string> seen;
    for (const auto& [extension, count] : walk.others) {
      if (seen.size() == 5) break;
      seen.push_back(fmt::format("{} {}", count, DescribeExtension(extension)));
    }
    throw Error(
        spec.path.string(), fmt::format("holds no file to read ({})", DescribeWanted(spec)),
        seen.empty()
            ? "the folder is empty"
            : fmt::format("it holds {}: list the extension in 'extensions' to read such files as "
                          "plain text",
                          fmt::join(seen, ", ")));
  }
  // The walk sorts within a folder; whole names sort differently where a name holds a character
  // below '/'.
  std::sort(walk.files.begin(), walk.files.end(),
            [](const SourceFile& a, const SourceFile& b) { return a.name < b.name; });
  return walk.files;
}

}  // namespace fathom
