#include "tensor/arena.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <map>

namespace fathom {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

// Counts what an arena takes and gives back.
class CountingAllocator : public Allocator {
 public:
  void* Allocate(size_t bytes) override {
    void* data = std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    live_[data] = bytes;
    ++allocations_;
    return data;
  }
  void Free(void* data, size_t bytes) override {
    EXPECT_EQ(live_.at(data), bytes);
    live_.erase(data);
    std::free(data);
  }
  size_t blocks() const { return live_.size(); }
  int allocations() const { return allocations_; }
  size_t bytes() const {
    size_t sum = 0;
    for (const auto& [data, bytes] : live_) sum += bytes;
    return sum;
  }

 private:
  std::map<void*, size_t> live_;
  int allocations_ = 0;
};

TEST(Arena, HandsOutAlignedTensorsThatDoNotOverlap) {
  Arena arena(MemoryRole::kSaved);
  EXPECT_EQ(arena.role(), MemoryRole::kSaved);
  std::vector<Tensor> tensors;
  for (int i = 0; i < 20; ++i) {
    tensors.push_back(arena.New(DType::kBF16, {i + 1, 7}));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensors.back().raw()) % 64, 0u);
    std::memset(tensors.back().raw(), i, static_cast<size_t>(tensors.back().bytes()));
  }
  for (int i = 0; i < 20; ++i) {
    for (const BF16 value : tensors[static_cast<size_t>(i)].span<BF16>()) {
      ASSERT_EQ(value.bits, i * 0x0101);
    }
  }
  EXPECT_EQ(arena.New(DType::kF32, {0, 5}).elements(), 0);
}

TEST(Arena, CountsInUnitsOf64Bytes) {
  Arena arena(MemoryRole::kCache);
  arena.NewBytes(1);
  EXPECT_EQ(arena.used(), 64u);
  arena.NewBytes(65);
  EXPECT_EQ(arena.used(), 192u);
  arena.Reset();
  EXPECT_EQ(arena.used(), 0u);
  EXPECT_EQ(arena.peak(), 192u);
  arena.NewBytes(64);
  EXPECT_EQ(arena.peak(), 192u);
}

TEST(Arena, RewindGivesTheSameMemoryAgain) {
  Arena arena(MemoryRole::kWorkspace);
  arena.NewBytes(100);
  const Arena::Mark mark = arena.mark();
  void* first = arena.NewBytes(1000);
  arena.Rewind(mark);
  EXPECT_EQ(arena.NewBytes(10), first);
  arena.Rewind(mark);
  EXPECT_EQ(arena.used(), 128u);
}

TEST(Arena, ScopesNest) {
  Arena arena(MemoryRole::kWorkspace);
  {
    ArenaScope outer(arena);
    arena.NewBytes(64);
    {
      ArenaScope inner(arena);
      arena.NewBytes(640);
      EXPECT_EQ(arena.used(), 704u);
    }
    EXPECT_EQ(arena.used(), 64u);
  }
  EXPECT_EQ(arena.used(), 0u);
  EXPECT_EQ(arena.peak(), 704u);
}

TEST(Arena, GrowsAndKeepsWhatItHandedOut) {
  CountingAllocator allocator;
  {
    Arena arena(MemoryRole::kWeights, allocator);
    auto* small = static_cast<char*>(arena.NewBytes(1000));
    std::memset(small, 42, 1000);
    auto* large = static_cast<char*>(arena.NewBytes(5 * kMiB));
    std::memset(large, 1, 5 * kMiB);
    EXPECT_EQ(allocator.blocks(), 2u);
    for (int i = 0; i < 1000; ++i) ASSERT_EQ(small[i], 42);
  }
  EXPECT_EQ(allocator.blocks(), 0u);  // all given back at the end
}

TEST(Arena, ASecondRoundOfTheSameSizesAllocatesNothing) {
  CountingAllocator allocator;
  Arena arena(MemoryRole::kWorkspace, allocator);
  const auto round = [&] {
    ArenaScope scope(arena);
    for (int i = 0; i < 10; ++i) arena.NewBytes(kMiB);
  };
  round();
  const int after_one = allocator.allocations();
  for (int i = 0; i < 5; ++i) round();
  EXPECT_EQ(allocator.allocations(), after_one);
}

TEST(Arena, FreeBlocksThatAreTooSmallAreReplaced) {
  CountingAllocator allocator;
  Arena arena(MemoryRole::kWorkspace, allocator);
  for (int i = 0; i < 4; ++i) arena.NewBytes(kMiB);
  arena.Reset();
  arena.NewBytes(64 * kMiB);
  EXPECT_EQ(allocator.blocks(), 1u);
  EXPECT_GE(allocator.bytes(), 64 * kMiB);
  EXPECT_LE(allocator.bytes(), 65 * kMiB);
}

TEST(Arena, AMarkStaysGoodWhenTheArenaGrowsAfterIt) {
  CountingAllocator allocator;
  Arena arena(MemoryRole::kWorkspace, allocator);
  auto* kept = static_cast<char*>(arena.NewBytes(kMiB / 2));
  std::memset(kept, 7, kMiB / 2);
  for (const size_t bytes : {3 * kMiB, 9 * kMiB, 2 * kMiB, 30 * kMiB}) {
    ArenaScope scope(arena);
    std::memset(arena.NewBytes(bytes), 1, bytes);
    std::memset(arena.NewBytes(bytes), 2, bytes);
  }
  EXPECT_EQ(arena.used(), kMiB / 2);
  for (size_t i = 0; i < kMiB / 2; ++i) ASSERT_EQ(kept[i], 7);
}

TEST(ArenaDeathTest, RewindingForwardsStopsTheProgram) {
  Arena arena(MemoryRole::kWorkspace);
  const Arena::Mark start = arena.mark();
  arena.NewBytes(64);
  const Arena::Mark later = arena.mark();
  arena.Rewind(start);
  EXPECT_DEATH(arena.Rewind(later), "rewinding forwards");
}

TEST(HostAllocator, RefusesWithAnErrorThatSaysHowMuch) {
  EXPECT_THROW(HostAllocator().Allocate(size_t{1} << 60), Error);
}

TEST(MemoryRoles, HaveDifferentNames) {
  std::map<std::string_view, int> names;
  for (int role = 0; role < kMemoryRoles; ++role) ++names[Name(static_cast<MemoryRole>(role))];
  EXPECT_EQ(names.size(), static_cast<size_t>(kMemoryRoles));
}

}  // namespace
}  // namespace fathom
