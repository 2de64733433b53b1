#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tensor/tensor.h"

namespace fathom {

// What a piece of memory is for. The memory table at the start of a run, the refusal of what does
// not fit and the planner all read the totals by role.
enum class MemoryRole : uint8_t {
  kWeights,
  kPacked,
  kGradients,
  kOptimizer,
  kSaved,
  kWorkspace,
  kCache
};
inline constexpr int kMemoryRoles = 7;
std::string_view Name(MemoryRole role);

// Where arenas get their memory: a device's allocator.
class Allocator {
 public:
  virtual ~Allocator() = default;
  // At least 64-byte aligned; throws Error when there is no memory.
  virtual void* Allocate(size_t bytes) = 0;
  virtual void Free(void* data, size_t bytes) = 0;
};

// Host memory: page-aligned, zero, asked from the system with huge pages where it gives them.
Allocator& HostAllocator();

// Memory of one role, handed out in order and given back in reverse order (or all at once), so that
// an allocation costs an addition. Tensors are views into it; it has to outlive them. Not
// thread-safe: one owner allocates.
class Arena {
 public:
  explicit Arena(MemoryRole role, Allocator& allocator = HostAllocator())
      : role_(role), allocator_(&allocator) {}
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  MemoryRole role() const { return role_; }

  // Uninitialised, 64-byte aligned.
  Tensor New(DType dtype, Shape shape);
  void* NewBytes(size_t bytes);

  // Bytes handed out now, and the most there ever were.
  size_t used() const { return used_; }
  size_t peak() const { return peak_; }

  // Gives back what was handed out after the mark was taken. Memory stays with the arena for the
  // next user; when that user needs a larger run than any block has, blocks that are free are
  // merged into one.
  struct Mark {
    size_t block = 0, offset = 0, used = 0;
  };
  Mark mark() const { return {block_, offset_, used_}; }
  void Rewind(const Mark& mark);
  void Reset() { Rewind(Mark{}); }

 private:
  struct Block {
    void* data;
    size_t bytes;
  };

  MemoryRole role_;
  Allocator* allocator_;
  std::vector<Block> blocks_;
  size_t block_ = 0, offset_ = 0;  // where the next allocation starts
  size_t used_ = 0, peak_ = 0;
};

// Gives back, at its end, all that was taken from the arena during its life.
class ArenaScope {
 public:
  explicit ArenaScope(Arena& arena) : arena_(arena), mark_(arena.mark()) {}
  ~ArenaScope() { arena_.Rewind(mark_); }
  ArenaScope(const ArenaScope&) = delete;
  ArenaScope& operator=(const ArenaScope&) = delete;

 private:
  Arena& arena_;
  Arena::Mark mark_;
};

}  // namespace fathom
