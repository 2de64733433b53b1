#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <limits>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "base/error.h"

namespace fathom {
namespace {

class ThreadPoolTest : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolTest, testing::Values(1, 2, 3, 8));

TEST_P(ThreadPoolTest, RunCallsEveryPartOnceAndTheCallerDoesTheFirst) {
  ThreadPool pool(GetParam());
  ASSERT_EQ(pool.threads(), GetParam());
  // Many rounds: a lost wake-up shows as a hang, a race as a wrong count.
  for (int round = 0; round < 500; ++round) {
    std::vector<std::atomic<int>> calls(static_cast<size_t>(GetParam()));
    std::thread::id first;
    pool.Run([&](int part) {
      ++calls[static_cast<size_t>(part)];
      if (part == 0) first = std::this_thread::get_id();
    });
    for (const auto& count : calls) ASSERT_EQ(count, 1);
    ASSERT_EQ(first, std::this_thread::get_id());
  }
}

TEST_P(ThreadPoolTest, PartsRunAtTheSameTime) {
  ThreadPool pool(GetParam());
  std::mutex mutex;
  std::set<std::thread::id> ids;
  // The caller's part takes long enough for every worker to begin its own.
  pool.Run([&](int part) {
    {
      std::lock_guard lock(mutex);
      ids.insert(std::this_thread::get_id());
    }
    const auto all_have_begun = [&] {
      std::lock_guard lock(mutex);
      return ids.size() == static_cast<size_t>(pool.threads());
    };
    while (part == 0 && !all_have_begun()) std::this_thread::yield();
  });
  EXPECT_EQ(ids.size(), static_cast<size_t>(pool.threads()));
}

TEST_P(ThreadPoolTest, RangesCoverEverythingOnceOnGrainBorders) {
  ThreadPool pool(GetParam());
  for (const int64_t count : {0, 1, 2, 7, 16, 63, 64, 65, 1000}) {
    for (const int64_t grain : {1, 3, 16, 2000}) {
      std::vector<std::atomic<int>> hits(static_cast<size_t>(count));
      std::atomic<int> calls = 0;
      pool.ParallelFor(count, grain, [&](int64_t begin, int64_t end, int thread) {
        ++calls;
        EXPECT_LT(begin, end);
        EXPECT_LE(end, count);
        EXPECT_EQ(begin % grain, 0);
        EXPECT_TRUE(end % grain == 0 || end == count);
        EXPECT_GE(thread, 0);
        EXPECT_LT(thread, pool.threads());
        for (int64_t i = begin; i < end; ++i) ++hits[static_cast<size_t>(i)];
      });
      for (const auto& hit : hits) ASSERT_EQ(hit, 1);
      EXPECT_LE(calls, pool.threads());
      if (count > 0 && count <= grain) {
        EXPECT_EQ(calls, 1);
      }
    }
  }
}

TEST_P(ThreadPoolTest, RangesDoNotDependOnTiming) {
  ThreadPool pool(GetParam());
  const auto ranges = [&] {
    std::vector<std::pair<int64_t, int64_t>> result(static_cast<size_t>(pool.threads()));
    pool.ParallelFor(101, 4, [&](int64_t begin, int64_t end, int thread) {
      result[static_cast<size_t>(thread)] = {begin, end};
    });
    return result;
  };
  const auto first = ranges();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(ranges(), first);
}

TEST_P(ThreadPoolTest, AnExceptionArrivesAndThePoolGoesOn) {
  ThreadPool pool(GetParam());
  for (int culprit = 0; culprit < pool.threads(); ++culprit) {
    EXPECT_THROW(pool.Run([&](int thread) {
      if (thread == culprit) throw std::out_of_range("thrown");
    }),
                 std::out_of_range);
  }
  EXPECT_THROW(pool.Run([](int) { throw std::runtime_error("all of them"); }), std::runtime_error);
  EXPECT_THROW(pool.ParallelFor(100, 1, [](int64_t, int64_t, int) { throw Error("a", "b"); }),
               Error);
  EXPECT_THROW(pool.ParallelFor(1, 1, [](int64_t, int64_t, int) { throw Error("a", "b"); }), Error);
  std::atomic<int> sum = 0;
  pool.Run([&](int) { ++sum; });
  EXPECT_EQ(sum, pool.threads());
}

TEST_P(ThreadPoolTest, NestedWorkStaysOnItsThread) {
  ThreadPool pool(GetParam());
  std::atomic<int> inner = 0;
  pool.Run([&](int) {
    const auto self = std::this_thread::get_id();
    pool.Run([&](int) {
      EXPECT_EQ(std::this_thread::get_id(), self);
      ++inner;
    });
    std::vector<int> hits(50);
    pool.ParallelFor(50, 1, [&](int64_t begin, int64_t end, int) {
      EXPECT_EQ(std::this_thread::get_id(), self);
      for (int64_t i = begin; i < end; ++i) ++hits[static_cast<size_t>(i)];
    });
    EXPECT_EQ(hits, std::vector<int>(50, 1));
  });
  EXPECT_EQ(inner, pool.threads() * pool.threads());
  EXPECT_THROW(pool.Run([&](int) { pool.Run([](int) { throw std::out_of_range("inner"); }); }),
               std::out_of_range);
}

TEST_P(ThreadPoolTest, DenormalsAreZeroInsideAndTheCallerKeepsItsOwn) {
  ThreadPool pool(GetParam());
  volatile float smallest = std::numeric_limits<float>::min();
  pool.Run([&](int) { EXPECT_EQ(smallest / 2, 0); });
  pool.ParallelFor(1, 1, [&](int64_t, int64_t, int) { EXPECT_EQ(smallest / 2, 0); });
  EXPECT_GT(smallest / 2, 0);
  EXPECT_THROW(pool.Run([](int) { throw std::runtime_error("x"); }), std::runtime_error);
  EXPECT_GT(smallest / 2, 0);
}

TEST(ThreadPool, IsMadeAndEndedWithoutWork) {
  for (int i = 0; i < 50; ++i) ThreadPool pool(4);
  EXPECT_GE(ThreadPool::AvailableProcessors(), 1);
}

}  // namespace
}  // namespace fathom
