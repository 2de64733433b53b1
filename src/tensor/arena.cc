#include "tensor/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/log.h"

namespace fathom {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kSmallestBlock = size_t{1} << 20;

size_t RoundUp(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

class SystemAllocator : public Allocator {
 public:
  void* Allocate(size_t bytes) override {
    void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) {
      throw Error("memory",
                  fmt::format("the system refused {}: {}", FormatBytes(static_cast<double>(bytes)),
                              std::strerror(errno)),
                  "use a smaller model, batch or sequence");
    }
    madvise(data, bytes, MADV_HUGEPAGE);
    return data;
  }
  void Free(void* data, size_t bytes) override { munmap(data, bytes); }
};

}  // namespace

std::string_view Name(MemoryRole role) {
  switch (role) {
    case MemoryRole::kWeights:
      return "weights";
    case MemoryRole::kPacked:
      return "packed weights";
    case MemoryRole::kGradients:
      return "gradients";
    case MemoryRole::kOptimizer:
      return "optimizer";
    case MemoryRole::kSaved:
      return "saved activations";
    case MemoryRole::kWorkspace:
      return "workspace";
    case MemoryRole::kCache:
      return "cache";
  }
  FATHOM_CHECK(false);
}

Allocator& HostAllocator() {
  static SystemAllocator allocator;
  return allocator;
}

Arena::~Arena() {
  for (const Block& block : blocks_) allocator_->Free(block.data, block.bytes);
}

void* Arena::NewBytes(size_t bytes) {
  bytes = RoundUp(std::max<size_t>(bytes, 1), kAlignment);
  while (block_ < blocks_.size() && offset_ + bytes > blocks_[block_].bytes) {
    if (offset_ == 0) {
      // The blocks from here on are free and this one is too small: replace them all by the new one
      // below.
      for (size_t i = block_; i < blocks_.size(); ++i)
        allocator_->Free(blocks_[i].data, blocks_[i].bytes);
      blocks_.resize(block_);
      break;
    }
    ++block_;
    offset_ = 0;
  }
  if (block_ == blocks_.size()) {
    // Doubling keeps the number of blocks small while what is not used stays untouched, hence
    // without memory behind it.
    const size_t size = RoundUp(std::max({bytes, used_, kSmallestBlock}), size_t{1} << 12);
    blocks_.push_back({allocator_->Allocate(size), size});
    offset_ = 0;
  }
  void* data = static_cast<std::byte*>(blocks_[block_].data) + offset_;
  offset_ += bytes;
  used_ += bytes;
  peak_ = std::max(peak_, used_);
  return data;
}

Tensor Arena::New(DType dtype, Shape shape) {
  return {NewBytes(static_cast<size_t>(StorageBytes(dtype, shape))), dtype, shape};
}

void Arena::Rewind(const Mark& mark) {
  FATHOM_CHECK(mark.used <= used_, "rewinding forwards");
  block_ = mark.block;
  offset_ = mark.offset;
  used_ = mark.used;
}

}  // namespace fathom
