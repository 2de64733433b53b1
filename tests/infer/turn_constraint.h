#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "text/token_constraint.h"

namespace fathom::test {

// The n-th token of an answer, from 0, has an id that leaves n % 3 when divided by 3.
class TurnConstraint : public TokenConstraint {
 public:
  explicit TurnConstraint(int64_t vocabulary)
      : words_(static_cast<size_t>((vocabulary + 63) / 64)) {}

  std::span<const uint64_t> Allowed(std::span<const int32_t> ahead) override {
    words_.assign(words_.size(), 0);
    for (size_t id = (accepted_ + ahead.size()) % 3; id < words_.size() * 64; id += 3) {
      words_[id / 64] |= uint64_t{1} << id % 64;
    }
    return words_;
  }
  void Accept(int32_t) override { ++accepted_; }

 private:
  size_t accepted_ = 0;
  std::vector<uint64_t> words_;
};

}  // namespace fathom::test
