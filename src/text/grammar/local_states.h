#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "text/grammar/grammar.h"

namespace fathom::grammar {

// The deterministic states inside a grammar's rules, made as they are met: a state is a set of
// nodes of one rule.
class LocalStates {
 public:
  static constexpr int32_t kNone = -1;
  // Some 30 MB together.
  static constexpr int32_t kMostStates = 1 << 16;
  static constexpr size_t kMostNodes = size_t{1} << 21;  // of all states

  struct State {
    std::vector<int32_t> nodes;  // ascending
    bool ends = false;           // the rule may end here
    bool reads = false;          // a byte may come inside the rule
    bool calls = false;          // another rule may begin
    // Whether nothing can follow inside the rule.
    bool only_ends() const { return !reads && !calls; }

   private:
    friend class LocalStates;
    std::vector<std::pair<int32_t, int32_t>> called;  // once it is known
    bool called_known = false;
  };

  // The grammar has to outlive it.
  explicit LocalStates(const Grammar& grammar) : grammar_(grammar) {}

  // Where a rule begins.
  int32_t First(int32_t rule);
  const State& state(int32_t id) const { return states_[static_cast<size_t>(id)]; }
  // The rules that may begin there, each with the state after it. Until the next call.
  const std::vector<std::pair<int32_t, int32_t>>& Calls(int32_t id);
  // After a byte; kNone when it cannot come. Throws Error when there are too many states. Machines
  // remember what they have asked.
  int32_t Next(int32_t id, uint8_t byte);

 private:
  static constexpr int32_t kUnknown = -2;

  // The state of the nodes and all that empty steps lead to.
  int32_t Of(std::vector<int32_t> nodes);

  const Grammar& grammar_;
  std::vector<State> states_;
  size_t nodes_ = 0;  // of all states
  std::map<std::vector<int32_t>, int32_t> ids_;
  std::vector<int32_t> first_;  // by rule; kUnknown
};

}  // namespace fathom::grammar
