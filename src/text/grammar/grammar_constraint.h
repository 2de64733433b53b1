#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/error.h"
#include "text/grammar/token_grammar.h"
#include "text/token_constraint.h"

namespace fathom::grammar {

// Keeps an answer inside a grammar: only tokens come that can still become one of its strings, and
// the end only where one is complete.
class GrammarConstraint : public TokenConstraint {
 public:
  // stop_ids: the tokens that end an answer. Nothing of the grammar is touched before the first
  // call of the others.
  GrammarConstraint(std::shared_ptr<TokenGrammar> grammar, std::vector<int32_t> stop_ids);

  std::span<const uint64_t> Allowed(std::span<const int32_t> ahead) override;
  void Accept(int32_t token) override;

 private:
  // States that one answer remembers at most: 4 MB.
  static constexpr size_t kMostStates = 4096;

  void Begin();
  // The state after a token; kDead after the end.
  int32_t After(int32_t state, int32_t token);

  std::shared_ptr<TokenGrammar> grammar_;
  std::vector<int32_t> stop_ids_;
  StackMachine machine_;
  bool begun_ = false;
  int32_t state_ = StackMachine::kDead;
  std::optional<Error> failure_;  // of Accept
  std::vector<uint64_t> words_;
};

}  // namespace fathom::grammar
