#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "base/function_ref.h"

namespace fathom {

// A fixed set of threads that computes one thing at a time. Work is split statically into
// contiguous ranges of outputs, so which thread computes what never depends on timing. A worker
// that has nothing to do spins briefly (the next op of a layer is microseconds away) and then
// parks.
//
// Every thread, the caller included while it computes, runs with denormals flushed to zero and
// rounding to nearest, so that a number does not depend on which thread made it.
class ThreadPool {
 public:
  // threads >= 1 counts the caller. Throws Error when the system refuses a thread.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls fn(t) once for every t in [0, threads()), each on its own thread, 0 on the caller's;
  // returns when all have. An exception thrown by fn is rethrown here. Called from inside fn, it
  // runs everything on the calling thread.
  void Run(FunctionRef<void(int thread)> fn);

  // Splits [0, count) into at most threads() contiguous ranges whose borders are multiples of
  // `grain`, and calls fn(begin, end, thread) for each that is not empty. Work of one grain or less
  // stays on the caller.
  void ParallelFor(int64_t count, int64_t grain,
                   FunctionRef<void(int64_t begin, int64_t end, int thread)> fn);

  // The number of processors this process may run on.
  static int AvailableProcessors();

 private:
  void WorkerLoop(int thread);
  void RunTask(int thread);

  // Written by the caller before `epoch_` advances, read by the workers after they see it advance.
  const FunctionRef<void(int)>* task_ = nullptr;
  std::atomic<uint32_t> epoch_{0};
  std::atomic<uint32_t> unfinished_{0};
  std::atomic<bool> stop_{false};
  std::mutex exception_mutex_;
  std::exception_ptr exception_;
  std::vector<std::thread> workers_;
};

// While it lives, the current thread computes as the pool's threads do (denormals to zero, round to
// nearest).
class ScopedFloatEnvironment {
 public:
  ScopedFloatEnvironment();
  ~ScopedFloatEnvironment();
  ScopedFloatEnvironment(const ScopedFloatEnvironment&) = delete;
  ScopedFloatEnvironment& operator=(const ScopedFloatEnvironment&) = delete;

 private:
  unsigned saved_;
};

}  // namespace fathom
