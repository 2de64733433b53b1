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

// Returns once `value` no longer holds `old`.
void SpinThenPark(const std::atomic<uint32_t>& value, uint32_t old) {
  for (int spin = 0; spin < kSpins; ++spin) {
    if (value.load(std::memory_order_acquire) != old) return;
    _mm_pause();
  }
  while (value.load(std::memory_order_acquire) == old) value.wait(old, std::memory_order_acquire);
}

}  // namespace

ScopedFloatEnvironment::ScopedFloatEnvironment() : saved_(_mm_getcsr()) { _mm_setcsr(kMxcsr); }
ScopedFloatEnvironment::~ScopedFloatEnvironment() { _mm_setcsr(saved_); }

int ThreadPool::AvailableProcessors() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

ThreadPool::ThreadPool(int threads) {
  FATHOM_CHECK(threads >= 1);
  try {
    for (int t = 1; t < threads; ++t) workers_.emplace_back(&ThreadPool::WorkerLoop, this, t);
  } catch (const std::system_error& error) {
    stop_ = true;
    epoch_.fetch_add(1, std::memory_order_release);
    epoch_.notify_all();
    for (auto& worker : workers_) worker.join();
    throw Error("thread pool",
                fmt::format("the system refused thread {}: {}", workers_.size() + 1, error.what()),
                "use fewer with --threads");
  }
}

ThreadPool::~ThreadPool() {
  stop_.store(true, std::memory_order_relaxed);
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  for (auto& worker : workers_) worker.join();
}

void ThreadPool::WorkerLoop(int thread) {
  ScopedFloatEnvironment environment;
  uint32_t seen = 0;
  while (true) {
    SpinThenPark(epoch_, seen);
    // Only one task is ever under way, and the next one starts after this thread has finished: no
    // epoch is missed.
    ++seen;
    if (stop_.load(std::memory_order_relaxed)) return;
    RunTask(thread);
    if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1) unfinished_.notify_one();
  }
}

void ThreadPool::RunTask(int thread) {
  in_task = true;
  try {
    (*task_)(thread);
  } catch (...) {
    std::lock_guard lock(exception_mutex_);
    if (!exception_) exception_ = std::current_exception();
  }
  in_task = false;
}

void ThreadPool::Run(FunctionRef<void(int thread)> fn) {
  if (in_task) {
    for (int t = 0; t < threads(); ++t) fn(t);
    return;
  }
  ScopedFloatEnvironment environment;
  task_ = &fn;
  if (!workers_.empty()) {
    unfinished_.store(static_cast<uint32_t>(workers_.size()), std::memory_order_relaxed);
    epoch_.fetch_add(1, std::memory_order_release);
    epoch_.notify_all();
  }
  RunTask(0);
  for (uint32_t left = unfinished_.load(std::memory_order_acquire); left != 0;
       left = unfinished_.load(std::memory_order_acquire)) {
    SpinThenPark(unfinished_, left);
  }
  if (exception_) std::rethrow_exception(std::exchange(exception_, nullptr));
}

void ThreadPool::ParallelFor(int64_t count, int64_t grain,
                             FunctionRef<void(int64_t begin, int64_t end, int thread)> fn) {
  if (count <= 0) return;
  FATHOM_CHECK(grain > 0);
  const int64_t grains = (count + grain - 1) / grain;
  const int64_t parts = std::min<int64_t>(grains, threads());
  if (parts == 1) {
    ScopedFloatEnvironment environment;
    fn(0, count, 0);
    return;
  }
  Run([&](int thread) {
    if (thread >= parts) return;
    const int64_t begin = grains * thread / parts * grain;
    const int64_t end = std::min(count, grains * (thread + 1) / parts * grain);
    if (begin < end) fn(begin, end, thread);
  });
}

}  // namespace fathom
