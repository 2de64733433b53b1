#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "text/grammar/expression.h"

namespace fathom::grammar {

// A context-free grammar over bytes, as one nondeterministic automaton a rule whose steps are byte
// ranges, empty steps, and calls of other rules. What cannot be gone on from to an end is not in
// it: every string that it can begin, it can end. Immutable.
class Grammar {
 public:
  struct Step {
    enum class Kind : uint8_t { kEmpty, kBytes, kCall };
    Kind kind;
    uint8_t low = 0, high = 0;
    int32_t rule = 0;
    int32_t to = 0;
  };

  int32_t start() const { return start_; }
  int32_t first_node(int32_t rule) const { return rules_[static_cast<size_t>(rule)].first; }
  // Whether a rule's string may end at this node.
  bool ends(int32_t node) const { return nodes_[static_cast<size_t>(node)].ends; }
  std::span<const Step> steps(int32_t node) const {
    return nodes_[static_cast<size_t>(node)].steps;
  }
  int32_t nodes() const { return static_cast<int32_t>(nodes_.size()); }

 private:
  friend class GrammarBuilder;
  struct Node {
    std::vector<Step> steps;
    bool ends = false;
  };
  struct Rule {
    int32_t first = -1, last = -1;
  };

  std::vector<Node> nodes_;
  std::vector<Rule> rules_;
  int32_t start_ = 0;
};

// Puts a grammar together.
class GrammarBuilder {
 public:
  // As large as a grammar may become: some 30 MB.
  static constexpr int32_t kMostNodes = 1 << 18;

  // where: what it is made from, for errors.
  explicit GrammarBuilder(std::string_view where) : where_(where) {}

  // A rule to be called; each has to be defined once, by the time of Build.
  int NewRule();
  // Throws Error when the grammar becomes too large.
  void Define(int rule, const Expression& expression);
  int NewRule(const Expression& expression);

  // Leaves the builder empty. Throws Error when no string matches, and when a rule calls itself
  // before anything else.
  Grammar Build(int start);

 private:
  int32_t NewNode();
  void AddStep(int32_t from, Grammar::Step step);
  // Steps from one node to another, or to a new one that is returned, for the strings of the
  // expression.
  int32_t Add(const Expression& expression, int32_t from);
  void Add(const Expression& expression, int32_t from, int32_t to);
  void AddRepeat(const Expression& expression, int32_t from, int32_t to);
  // Of each node, whether its rule's end can be reached from it; without bytes: by empty steps and
  // calls that take none.
  std::vector<bool> CanEnd(bool by_bytes) const;
  void RemoveDeadEnds(int start);
  void CheckLeftRecursion() const;

  std::string_view where_;
  Grammar grammar_;
};

}  // namespace fathom::grammar
