#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "text/chat/thinking_splitter.h"
#include "text/token_constraint.h"
#include "text/tokenizer.h"

namespace fathom {

// Ends a model's thoughts after so many tokens, by writing the end of them in its place.
class ThinkingBudget : public TokenConstraint {
 public:
  // inside: the prompt has opened the thoughts. other: what else the answer has to keep to, or
  // null; it has to allow any text up to the end of the thoughts. The tokenizer has to outlive it.
  ThinkingBudget(const Tokenizer& tokenizer, bool inside, int64_t tokens,
                 std::shared_ptr<TokenConstraint> other);

  std::span<const uint64_t> Allowed(std::span<const int32_t> ahead) override;
  void Accept(int32_t token) override;

 private:
  // After some tokens of the answer.
  struct Progress {
    ThinkingSplitter splitter;
    int64_t thoughts = 0;  // tokens
    size_t ended = 0;      // tokens of end_ that have been written because there were enough
  };
  void Advance(Progress& progress, int32_t token) const;
  bool Ends(const Progress& progress) const;

  const Tokenizer& tokenizer_;
  const int64_t tokens_;
  const std::vector<int32_t> end_;  // what is written
  const std::shared_ptr<TokenConstraint> other_;
  Progress progress_;
  std::vector<uint64_t> words_;
};

}  // namespace fathom
