#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fathom {

// Numbers of the cache's pages, with a count of who uses each: the sequences that read it and the
// prefix tree that keeps it for later ones. What is in a page is somebody else's business.
class PagePool {
 public:
  explicit PagePool(int64_t pages);

  int64_t size() const { return static_cast<int64_t>(references_.size()); }
  int64_t free() const { return static_cast<int64_t>(free_.size()); }
  int32_t references(int32_t page) const { return references_[static_cast<size_t>(page)]; }

  // A free page, now with one reference; fatal when there is none.
  int32_t Take();
  void Share(int32_t page);
  // The references that are left; with none the page is free.
  int32_t Release(int32_t page);

 private:
  std::vector<int32_t> references_;
  std::vector<int32_t> free_;
};

}  // namespace fathom
