#include "text/grammar/grammar_constraint.h"

#include <utility>

namespace fathom::grammar {

GrammarConstraint::GrammarConstraint(std::shared_ptr<TokenGrammar> grammar,
                                     std::vector<int32_t> stop_ids)
    : grammar_(std::move(grammar)), stop_ids_(std::move(stop_ids)), machine_(grammar_->locals()) {}

void GrammarConstraint::Begin() {
  if (std::exchange(begun_, true)) return;
  state_ = machine_.Start(grammar_->grammar().start());
}

int32_t GrammarConstraint::After(int32_t state, int32_t token) {
  const std::string_view bytes = grammar_->trie().BytesOf(token);
  if (bytes.empty()) return StackMachine::kDead;
  for (const char byte : bytes) {
    if (state == StackMachine::kDead) break;
    state = machine_.Next(state, static_cast<uint8_t>(byte));
  }
  return state;
}

std::span<const uint64_t> GrammarConstraint::Allowed(std::span<const int32_t> ahead) {
  if (failure_) throw *failure_;
  Begin();
  int32_t state = state_;
  for (const int32_t token : ahead) state = After(state, token);
  words_.assign(grammar_->trie().words(), 0);
  if (state != StackMachine::kDead) grammar_->Allow(machine_, state, words_);
  if (state == StackMachine::kDead || machine_.state(state).complete) {
    for (const int32_t id : stop_ids_) {
      const auto word = static_cast<size_t>(id) / 64;
      if (word >= words_.size()) words_.resize(word + 1);
      words_[word] |= uint64_t{1} << (static_cast<size_t>(id) % 64);
    }
  }
  return words_;
}

// What goes wrong here is told when somebody wants to know more.
void GrammarConstraint::Accept(int32_t token) {
  try {
    Begin();
    state_ = After(state_, token);
    if (machine_.size() > kMostStates && state_ != StackMachine::kDead)
      state_ = machine_.Keep(state_);
  } catch (const Error& error) {
    failure_ = error;
  }
}

}  // namespace fathom::grammar
