#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fathom {

// What each expert got, over the steps whose lines say it, in bounded memory: beyond kMostShares
// numbers, every second entry is dropped.
class LoadHistory {
 public:
  static constexpr size_t kMostShares = 2 << 20;

  // Returns whether entries were dropped. An entry that is not as large as those before begins
  // anew, which counts as that.
  bool Add(int64_t step, std::vector<std::vector<float>> load);

  size_t entries() const { return entries_.size(); }
  // Appends {"from": 3, "step": [...], "load": [[[layer 0's experts], ...], ...]}.
  void AppendJson(size_t from, std::string& json) const;

 private:
  struct Entry {
    int64_t step;
    std::vector<std::vector<float>> load;
  };
  std::vector<Entry> entries_;
};

}  // namespace fathom
