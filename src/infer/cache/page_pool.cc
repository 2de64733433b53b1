#include "infer/cache/page_pool.h"

#include "base/error.h"

namespace fathom {

PagePool::PagePool(int64_t pages) : references_(static_cast<size_t>(pages)) {
  FATHOM_CHECK(pages > 0 && pages <= INT32_MAX);
  // Taken from the back: low pages first.
  for (int64_t page = pages - 1; page >= 0; --page) free_.push_back(static_cast<int32_t>(page));
}

int32_t PagePool::Take() {
  FATHOM_CHECK(!free_.empty());
  const int32_t page = free_.back();
  free_.pop_back();
  references_[static_cast<size_t>(page)] = 1;
  return page;
}

void PagePool::Share(int32_t page) {
  FATHOM_CHECK(references(page) > 0, "page {} is free", page);
  ++references_[static_cast<size_t>(page)];
}

int32_t PagePool::Release(int32_t page) {
  FATHOM_CHECK(references(page) > 0, "page {} is free", page);
  const int32_t left = --references_[static_cast<size_t>(page)];
  if (left == 0) free_.push_back(page);
  return left;
}

}  // namespace fathom
