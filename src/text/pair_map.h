#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace fathom {

// Two token ids side by side.
struct TokenPair {
  int32_t left = -1;
  int32_t right = -1;
  bool operator==(const TokenPair&) const = default;
};

// A hash table from pairs of token ids (>= 0) to small values: linear probing, at most half full,
// no removal.
template <typename Value>
class PairMap {
 public:
  explicit PairMap(size_t expected = 0) {
    size_t capacity = 64;
    while (capacity < expected * 2) capacity *= 2;
    slots_.resize(capacity);
  }

  size_t size() const { return size_; }

  const Value* Find(TokenPair pair) const {
    const Slot& slot = slots_[Locate(pair)];
    return slot.pair == pair ? &slot.value : nullptr;
  }

  // The value of `pair`, made with Value() when it is new. Valid until the next call.
  Value& operator[](TokenPair pair) {
    if ((size_ + 1) * 2 > slots_.size()) Grow();
    Slot& slot = slots_[Locate(pair)];
    if (!(slot.pair == pair)) {
      slot.pair = pair;
      ++size_;
    }
    return slot.value;
  }

 private:
  struct Slot {
    TokenPair pair;
    Value value{};
  };

  size_t Locate(TokenPair pair) const {
    uint64_t hash = (static_cast<uint64_t>(static_cast<uint32_t>(pair.left)) << 32) |
                    static_cast<uint32_t>(pair.right);
    hash *= 0x9E3779B97F4A7C15u;
    hash ^= hash >> 29;
    const size_t mask = slots_.size() - 1;
    size_t index = hash & mask;
    while (slots_[index].pair.left >= 0 && !(slots_[index].pair == pair))
      index = (index + 1) & mask;
    return index;
  }

  void Grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    for (Slot& slot : old) {
      if (slot.pair.left >= 0) slots_[Locate(slot.pair)] = std::move(slot);
    }
  }

  std::vector<Slot> slots_;
  size_t size_ = 0;
};

}  // namespace fathom
