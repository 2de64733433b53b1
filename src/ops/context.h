#pragma once

#include "base/thread_pool.h"
#include "tensor/arena.h"

namespace fathom {

class Backend;

// What a computation runs with: who computes, on which threads, and where it puts what it needs for
// a moment. One Context is used by one thread at a time.
struct Context {
  Backend* backend = nullptr;
  ThreadPool* pool = nullptr;
  Arena* workspace = nullptr;  // role kWorkspace; callers take and give back through ArenaScope
};

}  // namespace fathom
