#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "base/function_ref.h"

namespace fathom {

// A fixed set of threads that computes one thing at a time. Work is split statically into parts,
// one a thread at most, so what a part computes never depends on timing. Part t belongs to thread
// t; a part that its thread has not begun when the caller is done with its own (the system gave
// that processor to somebody else) is done by the caller, so that nobody waits for a thread that
// does not run. A worker that has nothing to do spins briefly (the next op of a layer is
// microseconds away) and then parks.
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

  // Calls fn(part) once for every part in [0, threads()), 0 on the caller's thread; returns when
  // all are done. Parts run at the same time or one after the other, so none may wait for another.
  // An exception thrown by fn is rethrown here. Called from inside fn, it runs everything on the
  // calling thread.
  void Run(FunctionRef<void(int part)> fn);

  // Splits [0, count) into at most threads() contiguous ranges whose borders are multiples of
  // `grain`, and calls fn(begin, end, part) for each that is not empty. Work of one grain or less
  // stays on the caller.
  void ParallelFor(int64_t count, int64_t grain,
                   FunctionRef<void(int64_t begin, int64_t end, int part)> fn);

  // The number of processors this process may run on.
  static int AvailableProcessors();

 private:
  // What a worker is to do. Each has a cache line of its own.
  enum State : uint32_t {
    kIdle,     // it spins, or computes
    kParked,   // it sleeps and has to be woken
    kOffered,  // its part waits to be claimed, by it or by the caller
    kStop,
  };
  struct alignas(64) Worker {
    std::atomic<uint32_t> state{kIdle};
    std::thread thread;
  };

  void RunParts(int parts, FunctionRef<void(int part)> fn);
  void WorkerLoop(int part);
  // Whether the part was still on offer and is now the calling thread's.
  bool Claim(int part);
  void RunPart(int part);
  void FinishPart();
  void AwaitParts();
  void Stop();

  // Valid while a part is on offer or runs: written before the offers, read after a claim.
  const FunctionRef<void(int)>* task_ = nullptr;
  // Parts that belong to workers and are not done; and whether the caller sleeps until they are.
  static constexpr uint32_t kCallerParked = uint32_t{1} << 31;
  std::atomic<uint32_t> unfinished_{0};
  std::mutex exception_mutex_;
  std::exception_ptr exception_;
  std::vector<Worker> workers_;
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
