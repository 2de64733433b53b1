#include "text/grammar/token_grammar.h"

#include <algorithm>

namespace fathom::grammar {
namespace {

// Visits the nodes below `root`, where the machine is in `state`, that it can read on to.
template <typename Visit>
void Walk(const TokenTrie& trie, int32_t root, StackMachine& machine, int32_t state, Visit visit) {
  std::vector<int32_t> states(static_cast<size_t>(trie.most_depth()) + 1);  // by depth
  states[static_cast<size_t>(trie.depth(root))] = state;
  for (int32_t node = root + 1, end = trie.end(root); node < end;) {
    const auto depth = static_cast<size_t>(trie.depth(node));
    const int32_t next = machine.Next(states[depth - 1], trie.byte(node));
    if (next == StackMachine::kDead) {
      node = trie.end(node);
      continue;
    }
    states[depth] = next;
    visit(node, next);
    ++node;
  }
}

void Set(std::vector<uint64_t>& words, int32_t id) {
  words[static_cast<size_t>(id) / 64] |= uint64_t{1} << (static_cast<size_t>(id) % 64);
}

}  // namespace

void TokenGrammar::Allow(StackMachine& machine, int32_t state, std::vector<uint64_t>& words) {
  // By number: the machine makes new states meanwhile.
  const std::vector<int32_t> tops = machine.state(state).tops;
  for (const int32_t top : tops) {
    const StackMachine::Frame frame = machine.frame(top);
    const Inside& inside = InsideOf(frame.local);
    for (size_t i = 0; i < inside.words.size(); ++i) words[i] |= inside.words[i];
    for (const int32_t id : inside.few) Set(words, id);
    if (inside.exits.empty() || frame.parent == StackMachine::kBottom) continue;
    const int32_t around = machine.After(frame.parent);
    for (const int32_t exit : inside.exits) {
      Walk(*trie_, exit, machine, around, [&](int32_t node, int32_t) {
        for (const int32_t id : trie_->tokens(node)) Set(words, id);
      });
    }
  }
}

const TokenGrammar::Inside& TokenGrammar::InsideOf(int32_t local) {
  const auto known = inside_.find(local);
  if (known != inside_.end()) return known->second;
  if (inside_.size() >= kMostInside) inside_.clear();
  StackMachine machine(locals_);
  Inside inside;
  Walk(*trie_, 0, machine, machine.Alone(local), [&](int32_t node, int32_t state) {
    const auto tokens = trie_->tokens(node);
    inside.few.insert(inside.few.end(), tokens.begin(), tokens.end());
    if (machine.state(state).complete && trie_->end(node) > node + 1) inside.exits.push_back(node);
  });
  if (inside.few.size() > trie_->words()) {
    inside.words.resize(trie_->words());
    for (const int32_t id : inside.few) Set(inside.words, id);
    inside.few.clear();
    inside.few.shrink_to_fit();
  }
  return inside_.emplace(local, std::move(inside)).first->second;
}

}  // namespace fathom::grammar
