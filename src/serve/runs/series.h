#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "serve/runs/log_line.h"

namespace fathom {

// The numbers of lines over steps, in bounded memory: beyond kMostBuckets lines, a bucket stands
// for several (2, 4, 8, ... of them) with the mean, the least and the most of each number.
class Series {
 public:
  static constexpr size_t kMostBuckets = 4096;
  // Further names are left out.
  static constexpr size_t kMostNames = 64;

  // x of a line; buckets have those of their last one.
  struct Place {
    double step = 0, tokens = 0, time = 0;
  };
  // Returns whether buckets have become fewer, so that those that somebody has are no longer ours.
  bool Add(const Place& place, const NamedNumbers& numbers);
  void Clear() { *this = Series(); }

  size_t buckets() const { return places_.size(); }
  uint64_t stride() const { return stride_; }
  bool Has(std::string_view name) const;
  Place last() const { return places_.empty() ? Place() : places_.back(); }

  // Appends {"stride": 4, "from": 10, "step": [...], "tokens": [...], "time": [...], "values":
  // {"loss": {"mean": [...], "low": [...], "high": [...]}}}, of the buckets from `from` on; without
  // low and high where a bucket is one line. null where there is no number. Six digits.
  void AppendJson(size_t from, std::string& json) const;

 private:
  struct Cell {
    double sum = 0;
    float low = 0, high = 0;
    uint32_t count = 0;

    void Add(const Cell& other);
  };
  struct Values {
    std::string name;
    std::vector<Cell> cells;  // of each bucket; missing at the end: none there
  };
  Values* Find(std::string_view name);
  void Halve();

  uint64_t stride_ = 1;
  uint64_t in_last_ = 0;  // lines of the last bucket
  std::vector<Place> places_;
  std::vector<Values> values_;
};

// Appends a number as JSON has it; null for what is not finite.
void AppendNumber(double value, std::string& json);

}  // namespace fathom
