#include "base/memory.h"

#include <sys/resource.h>

#include <algorithm>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "base/error.h"

namespace fathom {
namespace {

constexpr const char* kMemInfo = "/proc/meminfo";

// A file that holds one number; nothing where it is missing or says "max".
std::optional<int64_t> NumberIn(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string word;
  int64_t number;
  if (!(file >> word)) return std::nullopt;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
  return number;
}

// What the control group (version 2) of this process, or one above it, leaves; nothing without a
// limit. File pages that the group holds can be dropped and count as free.
std::optional<int64_t> ControlGroupLeaves() {
  std::ifstream file("/proc/self/cgroup");
  std::string line;
  std::optional<int64_t> least;
  while (std::getline(file, line)) {
    if (!line.starts_with("0::/")) continue;
    const std::filesystem::path root = "/sys/fs/cgroup";
    for (std::filesystem::path group = root / line.substr(4);; group = group.parent_path()) {
      const auto limit = NumberIn(group / "memory.max");
      const auto used = NumberIn(group / "memory.current");
      if (limit && used) {
        int64_t files = 0;
        std::ifstream statistics(group / "memory.stat");
        std::string name;
        for (int64_t value; statistics >> name >> value;) {
          if (name == "active_file" || name == "inactive_file") files += value;
        }
        const int64_t left = std::max<int64_t>(0, *limit - *used + files);
        least = least ? std::min(*least, left) : left;
      }
      if (group == root || group == group.parent_path()) break;
    }
  }
  return least;
}

}  // namespace

int64_t AvailableMemory() {
  std::ifstream file(kMemInfo);
  std::string name, unit;
  for (int64_t kibibytes; file >> name >> kibibytes; std::getline(file, unit)) {
    if (name != "MemAvailable:") continue;
    const int64_t machine = kibibytes * 1024;
    const auto group = ControlGroupLeaves();
    return group ? std::min(machine, *group) : machine;
  }
  throw Error(kMemInfo, "does not say how much memory is available");
}

int64_t PeakResidentMemory() {
  // getrusage would also count what the program that started this one had.
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    int64_t kibibytes = 0;
    if (std::sscanf(line.c_str(), "VmHWM: %" SCNd64, &kibibytes) == 1) return 1024 * kibibytes;
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{1024} * usage.ru_maxrss;
}

}  // namespace fathom
