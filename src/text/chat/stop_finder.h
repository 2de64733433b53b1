#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fathom {

// Ends a text before the first of several strings in it. The text comes in pieces; what could
// become the beginning of one of the strings is held back.
class StopFinder {
 public:
  explicit StopFinder(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  // What is certain to belong to the text by now. Nothing more once one has been found.
  std::string Push(std::string_view piece);
  // What was held back, when the text has ended without one.
  std::string Finish();
  bool found() const { return found_; }

 private:
  std::vector<std::string> stops_;  // none is empty
  std::string held_;
  bool found_ = false;
};

}  // namespace fathom
