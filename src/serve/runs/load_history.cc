#include "serve/runs/load_history.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "serve/runs/series.h"

namespace fathom {

bool LoadHistory::Add(int64_t step, std::vector<std::vector<float>> load) {
  bool dropped = false;
  if (!entries_.empty()) {
    const auto& before = entries_.back().load;
    if (before.size() != load.size() || before[0].size() != load[0].size()) {
      entries_.clear();
      dropped = true;
    }
  }
  const size_t most = std::max<size_t>(2, kMostShares / (load.size() * load[0].size()));
  if (entries_.size() >= most) {
    for (size_t i = 0; 2 * i < entries_.size(); ++i) entries_[i] = std::move(entries_[2 * i]);
    entries_.resize((entries_.size() + 1) / 2);
    dropped = true;
  }
  entries_.push_back({step, std::move(load)});
  return dropped;
}

void LoadHistory::AppendJson(size_t from, std::string& json) const {
  from = std::min(from, entries_.size());
  fmt::format_to(std::back_inserter(json), R"({{"from":{},"step":[)", from);
  for (size_t i = from; i < entries_.size(); ++i) {
    if (i > from) json += ',';
    fmt::format_to(std::back_inserter(json), "{}", entries_[i].step);
  }
  json += "],\"load\":[";
  for (size_t i = from; i < entries_.size(); ++i) {
    if (i > from) json += ',';
    json += '[';
    for (const std::vector<float>& layer : entries_[i].load) {
      if (&layer != &entries_[i].load.front()) json += ',';
      json += '[';
      for (size_t e = 0; e < layer.size(); ++e) {
        if (e > 0) json += ',';
        AppendNumber(layer[e], json);
      }
      json += ']';
    }
    json += ']';
  }
  json += "]}";
}

}  // namespace fathom
