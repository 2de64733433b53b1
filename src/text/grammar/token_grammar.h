#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "text/grammar/grammar.h"
#include "text/grammar/local_states.h"
#include "text/grammar/stack_machine.h"
#include "text/grammar/token_trie.h"

namespace fathom::grammar {

// A grammar over the tokens of a vocabulary.
//
// Which tokens may come depends on a whole stack, of which there is no end of different ones. But
// nearly all tokens stay inside the innermost rule or never get through it, whatever is around it:
// those are found once for each place in a rule, by walking the vocabulary's tree beside the
// automaton, and kept. What ends the rule in the middle of a token is followed up for the stack
// that there is; it is a few places in the tree. (Dong et al., XGrammar, arXiv 2411.15100, divides
// tokens in the same way.)
//
// For one thread at a time.
class TokenGrammar {
 public:
  TokenGrammar(Grammar grammar, std::shared_ptr<const TokenTrie> trie)
      : grammar_(std::move(grammar)), locals_(grammar_), trie_(std::move(trie)) {}
  TokenGrammar(const TokenGrammar&) = delete;
  TokenGrammar& operator=(const TokenGrammar&) = delete;

  const Grammar& grammar() const { return grammar_; }
  const TokenTrie& trie() const { return *trie_; }
  // What machines of this grammar share.
  LocalStates& locals() { return locals_; }

  // Sets the bits of the tokens that may come in a state of a machine of this grammar; words of
  // trie().words(), which are 0.
  void Allow(StackMachine& machine, int32_t state, std::vector<uint64_t>& words);

 private:
  // Of a place in a rule.
  struct Inside {
    std::vector<uint64_t> words;  // bits of the tokens that can come, as far as the rule says;
    std::vector<int32_t> few;     // or, where they are few, their ids
    std::vector<int32_t> exits;   // nodes at which the rule may end, and tokens go on
  };
  // Memory for these at most, for 128 K tokens: 16 MB.
  static constexpr size_t kMostInside = 1024;

  const Inside& InsideOf(int32_t local);

  Grammar grammar_;
  LocalStates locals_;
  std::shared_ptr<const TokenTrie> trie_;
  std::unordered_map<int32_t, Inside> inside_;
};

}  // namespace fathom::grammar
