#include "text/chat/stop_finder.h"

#include <algorithm>
#include <utility>

namespace fathom {

std::string StopFinder::Push(std::string_view piece) {
  if (found_) return {};
  held_ += piece;
  size_t first = std::string::npos;
  for (const std::string& stop : stops_) first = std::min(first, held_.find(stop));
  if (first != std::string::npos) {
    found_ = true;
    held_.resize(first);
    return std::exchange(held_, {});
  }
  size_t tail = 0;
  for (const std::string& stop : stops_) {
    size_t length = std::min(stop.size() - 1, held_.size());
    while (!std::string_view(stop).starts_with(
        std::string_view(held_).substr(held_.size() - length))) {
      --length;
    }
    tail = std::max(tail, length);
  }
  std::string certain = held_.substr(0, held_.size() - tail);
  held_.erase(0, certain.size());
  return certain;
}

std::string StopFinder::Finish() { return std::exchange(held_, {}); }

}  // namespace fathom
