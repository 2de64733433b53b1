#pragma once

#include <string_view>

#include "text/grammar/stack_machine.h"

namespace fathom::test {

// Whether a grammar has the text, and whether some text of it begins so.
struct Reading {
  bool whole = false, begin = false;
};

inline Reading ReadBy(const grammar::Grammar& grammar, std::string_view text) {
  grammar::LocalStates locals(grammar);
  grammar::StackMachine machine(locals);
  int32_t state = machine.Start(grammar.start());
  for (const char byte : text) {
    state = machine.Next(state, static_cast<uint8_t>(byte));
    if (state == grammar::StackMachine::kDead) return {};
  }
  return {machine.state(state).complete, true};
}

inline bool Matches(const grammar::Grammar& grammar, std::string_view text) {
  return ReadBy(grammar, text).whole;
}

}  // namespace fathom::test
