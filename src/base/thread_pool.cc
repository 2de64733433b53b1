#include "base/thread_pool.h"

#include <immintrin.h>
#include <sched.h>

#include <algorithm>
#include <system_error>

#include "base/error.h"

namespace fathom {
namespace {

// About 20 us of _mm_pause on current x86: longer than the gap between two ops, far shorter than a
// time slice.
constexpr int kSpins = 1000;

// MXCSR: all exceptions masked (0x1f80), flush to zero (0x8000), denormals are zero (0x0040), round
// to nearest.
constexpr unsigned kMxcsr = 0x1f80 | 0x8000 | 0x0040;

// Set while a thread runs a task: a nested Run has to stay on its thread.
thread_local bool in_task = false;

// Spins as long as `value` holds `old`; false when it still does after a while.
bool SpinWhile(const std::atomic<uint32_t>& value, uint32_t old) {
  for (int spin = 0; spin < kSpins; ++spin) {
    if (value.load(std::memory_order_acquire) != old) return true;
    _mm_pause();
  }
  return false;
}

}  // namespace

ScopedFloatEnvironment::ScopedFloatEnvironment() : saved_(_mm_getcsr()) { _mm_setcsr(kMxcsr); }
ScopedFloatEnvironment::~ScopedFloatEnvironment() { _mm_setcsr(saved_); }

int ThreadPool::AvailableProcessors() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

ThreadPool::ThreadPool(int threads) : workers_(static_cast<size_t>(std::max(1, threads) - 1)) {
  FATHOM_CHECK(threads >= 1);
  for (int part = 1; part < threads; ++part) {
    try {
      workers_[static_cast<size_t>(part - 1)].thread =
          std::thread(&ThreadPool::WorkerLoop, this, part);
    } catch (const std::system_error& error) {
      Stop();
      throw Error("thread pool",
                  fmt::format("the system refused thread {}: {}", part + 1, error.what()),
                  "use fewer with --threads");
    }
  }
}

ThreadPool::~ThreadPool() { Stop(); }

void ThreadPool::Stop() {
  for (Worker& worker : workers_) {
    worker.state.exchange(kStop, std::memory_order_acq_rel);
    worker.state.notify_one();
    if (worker.thread.joinable()) worker.thread.join();
  }
}

void ThreadPool::WorkerLoop(int part) {
  ScopedFloatEnvironment environment;
  std::atomic<uint32_t>& state = workers_[static_cast<size_t>(part - 1)].state;
  while (true) {
    if (!SpinWhile(state, kIdle)) {
      uint32_t idle = kIdle;
      if (state.compare_exchange_strong(idle, kParked, std::memory_order_acq_rel))
        state.wait(kParked, std::memory_order_acquire);
    }
    if (state.load(std::memory_order_acquire) == kStop) return;
    if (Claim(part)) {
      RunPart(part);
      FinishPart();
    }
  }
}

bool ThreadPool::Claim(int part) {
  uint32_t offered = kOffered;
  return workers_[static_cast<size_t>(part - 1)].state.compare_exchange_strong(
      offered, kIdle, std::memory_order_acq_rel, std::memory_order_relaxed);
}

void ThreadPool::RunPart(int part) {
  in_task = true;
  try {
    (*task_)(part);
  } catch (...) {
    std::lock_guard lock(exception_mutex_);
    if (!exception_) exception_ = std::current_exception();
  }
  in_task = false;
}

void ThreadPool::FinishPart() {
  const uint32_t before = unfinished_.fetch_sub(1, std::memory_order_acq_rel);
  if (before == kCallerParked + 1) unfinished_.notify_one();
}

void ThreadPool::AwaitParts() {
  for (int spin = 0; spin < kSpins; ++spin) {
    if (unfinished_.load(std::memory_order_acquire) == 0) return;
    _mm_pause();
  }
  uint32_t left = unfinished_.fetch_or(kCallerParked, std::memory_order_acq_rel) | kCallerParked;
  while (left != kCallerParked) {
    unfinished_.wait(left, std::memory_order_acquire);
    left = unfinished_.load(std::memory_order_acquire);
  }
}

void ThreadPool::Run(FunctionRef<void(int part)> fn) { RunParts(threads(), fn); }

void ThreadPool::RunParts(int parts, FunctionRef<void(int part)> fn) {
  if (in_task) {
    for (int part = 0; part < parts; ++part) fn(part);
    return;
  }
  ScopedFloatEnvironment environment;
  task_ = &fn;
  unfinished_.store(static_cast<uint32_t>(parts - 1), std::memory_order_relaxed);
  for (int part = 1; part < parts; ++part) {
    std::atomic<uint32_t>& state = workers_[static_cast<size_t>(part - 1)].state;
    if (state.exchange(kOffered, std::memory_order_acq_rel) == kParked) state.notify_one();
  }
  RunPart(0);
  for (int part = 1; part < parts; ++part) {
    if (!Claim(part)) continue;
    RunPart(part);
    FinishPart();
  }
  AwaitParts();
  if (exception_) std::rethrow_exception(std::exchange(exception_, nullptr));
}

void ThreadPool::ParallelFor(int64_t count, int64_t grain,
                             FunctionRef<void(int64_t begin, int64_t end, int part)> fn) {
  if (count <= 0) return;
  FATHOM_CHECK(grain > 0);
  const int64_t grains = (count + grain - 1) / grain;
  const int64_t parts = std::min<int64_t>(grains, threads());
  if (parts == 1) {
    ScopedFloatEnvironment environment;
    fn(0, count, 0);
    return;
  }
  RunParts(static_cast<int>(parts), [&](int part) {
    const int64_t begin = grains * part / parts * grain;
    const int64_t end = std::min(count, grains * (part + 1) / parts * grain);
    fn(begin, end, part);
  });
}

}  // namespace fathom
