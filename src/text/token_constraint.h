#pragma once

#include <cstdint>
#include <span>

namespace fathom {

// Which tokens may come next in one answer, as a function of those that have come. Not thread-safe.
class TokenConstraint {
 public:
  virtual ~TokenConstraint() = default;

  // The ids that may come after what was accepted and then `ahead` (tokens that may come to be
  // accepted: guesses), as bits: of id i, bit i % 64 of word i / 64. Ids beyond are forbidden; no
  // words at all: everything is allowed. Until the next call. Throws Error when it cannot be said.
  virtual std::span<const uint64_t> Allowed(std::span<const int32_t> ahead) = 0;
  // The next token is there; it was allowed.
  virtual void Accept(int32_t token) = 0;
};

}  // namespace fathom
