#include "text/grammar/grammar.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace fathom::grammar {

using Step = Grammar::Step;

int GrammarBuilder::NewRule() {
  grammar_.rules_.emplace_back();
  return static_cast<int>(grammar_.rules_.size()) - 1;
}

int GrammarBuilder::NewRule(const Expression& expression) {
  const int rule = NewRule();
  Define(rule, expression);
  return rule;
}

void GrammarBuilder::Define(int rule, const Expression& expression) {
  const int32_t first = NewNode();
  const int32_t last = Add(expression, first);
  FATHOM_CHECK(grammar_.rules_[static_cast<size_t>(rule)].first < 0);
  grammar_.nodes_[static_cast<size_t>(last)].ends = true;
  grammar_.rules_[static_cast<size_t>(rule)] = {first, last};
}

int32_t GrammarBuilder::NewNode() {
  if (grammar_.nodes() == kMostNodes) {
    throw Error(where_, "is too large", "fewer or shorter alternatives, or smaller counts");
  }
  grammar_.nodes_.emplace_back();
  return grammar_.nodes() - 1;
}

void GrammarBuilder::AddStep(int32_t from, Step step) {
  grammar_.nodes_[static_cast<size_t>(from)].steps.push_back(step);
}

int32_t GrammarBuilder::Add(const Expression& expression, int32_t from) {
  const int32_t to = NewNode();
  Add(expression, from, to);
  return to;
}

// No step leads back to `from` or out of `to`, so that several expressions can share both.
void GrammarBuilder::Add(const Expression& expression, int32_t from, int32_t to) {
  switch (expression.kind()) {
    case Expression::Kind::kBytes:
      AddStep(from, {.kind = Step::Kind::kBytes,
                     .low = expression.low(),
                     .high = expression.high(),
                     .to = to});
      return;
    case Expression::Kind::kCall:
      AddStep(from, {.kind = Step::Kind::kCall, .rule = expression.rule(), .to = to});
      return;
    case Expression::Kind::kSequence: {
      const std::vector<Expression>& parts = expression.parts();
      if (parts.empty()) AddStep(from, {.kind = Step::Kind::kEmpty, .to = to});
      for (size_t i = 0; i < parts.size(); ++i) {
        if (i + 1 == parts.size()) {
          Add(parts[i], from, to);
        } else {
          from = Add(parts[i], from);
        }
      }
      return;
    }
    case Expression::Kind::kChoice:
      for (const Expression& part : expression.parts()) Add(part, from, to);
      return;
    case Expression::Kind::kRepeat:
      AddRepeat(expression, from, to);
      return;
  }
  FATHOM_CHECK(false);
}

void GrammarBuilder::AddRepeat(const Expression& expression, int32_t from, int32_t to) {
  const Expression& part = expression.parts()[0];
  const bool bounded = expression.most() != Expression::kUnbounded;
  if (bounded && expression.most() < expression.least()) return;
  for (int64_t i = 0; i < expression.least(); ++i) from = Add(part, from);
  if (!bounded) {
    const int32_t loop = NewNode();
    AddStep(from, {.kind = Step::Kind::kEmpty, .to = loop});
    AddStep(Add(part, loop), {.kind = Step::Kind::kEmpty, .to = loop});
    AddStep(loop, {.kind = Step::Kind::kEmpty, .to = to});
    return;
  }
  for (int64_t i = expression.least(); i < expression.most(); ++i) {
    AddStep(from, {.kind = Step::Kind::kEmpty, .to = to});
    from = Add(part, from);
  }
  AddStep(from, {.kind = Step::Kind::kEmpty, .to = to});
}

Grammar GrammarBuilder::Build(int start) {
  for (const Grammar::Rule& rule : grammar_.rules_) FATHOM_CHECK(rule.first >= 0);
  RemoveDeadEnds(start);
  CheckLeftRecursion();
  grammar_.start_ = start;
  return std::exchange(grammar_, Grammar());
}

std::vector<bool> GrammarBuilder::CanEnd(bool by_bytes) const {
  // A node that can is gone back from; a call waits for its rule.
  const auto count = static_cast<size_t>(grammar_.nodes());
  std::vector<std::vector<int32_t>> before(count), waiting(grammar_.rules_.size());
  std::vector<int32_t> rule_of_first(count, -1);
  std::vector<bool> can(count, false);
  std::vector<int32_t> work;
  const auto mark = [&](int32_t node) {
    if (can[static_cast<size_t>(node)]) return;
    can[static_cast<size_t>(node)] = true;
    work.push_back(node);
  };
  for (size_t rule = 0; rule < grammar_.rules_.size(); ++rule)
    rule_of_first[static_cast<size_t>(grammar_.rules_[rule].first)] = static_cast<int32_t>(rule);
  for (int32_t node = 0; node < grammar_.nodes(); ++node) {
    for (const Step& step : grammar_.steps(node)) {
      before[static_cast<size_t>(step.to)].push_back(node);
    }
    if (grammar_.ends(node)) mark(node);
  }
  while (!work.empty()) {
    const int32_t node = work.back();
    work.pop_back();
    for (const int32_t from : before[static_cast<size_t>(node)]) {
      if (can[static_cast<size_t>(from)]) continue;
      for (const Step& step : grammar_.steps(from)) {
        if (step.to != node || (step.kind == Step::Kind::kBytes && !by_bytes)) continue;
        if (step.kind != Step::Kind::kCall ||
            can[static_cast<size_t>(grammar_.first_node(step.rule))]) {
          mark(from);
        } else {
          waiting[static_cast<size_t>(step.rule)].push_back(from);
        }
      }
    }
    const int32_t rule = rule_of_first[static_cast<size_t>(node)];
    if (rule < 0) continue;
    for (const int32_t from : waiting[static_cast<size_t>(rule)]) mark(from);
  }
  return can;
}

void GrammarBuilder::RemoveDeadEnds(int start) {
  const std::vector<bool> alive = CanEnd(true);
  const auto rule_alive = [&](int32_t rule) {
    return alive[static_cast<size_t>(grammar_.first_node(rule))];
  };
  if (!rule_alive(start)) {
    throw Error(where_, "nothing can match it", "it asks for contradictory things");
  }
  for (Grammar::Node& node : grammar_.nodes_) {
    std::erase_if(node.steps, [&](const Step& step) {
      return !alive[static_cast<size_t>(step.to)] ||
             (step.kind == Step::Kind::kCall && !rule_alive(step.rule));
    });
  }
}

void GrammarBuilder::CheckLeftRecursion() const {
  const std::vector<bool> nullable = CanEnd(false);
  // Rules that a rule calls before any byte; a circle among them never ends.
  const size_t rules = grammar_.rules_.size();
  std::vector<std::vector<int32_t>> calls(rules);
  std::vector<int32_t> seen(static_cast<size_t>(grammar_.nodes()), -1);
  for (size_t rule = 0; rule < rules; ++rule) {
    std::vector<int32_t> work = {grammar_.rules_[rule].first};
    while (!work.empty()) {
      const int32_t node = work.back();
      work.pop_back();
      if (std::exchange(seen[static_cast<size_t>(node)], static_cast<int32_t>(rule)) ==
          static_cast<int32_t>(rule)) {
        continue;
      }
      for (const Step& step : grammar_.steps(node)) {
        if (step.kind == Step::Kind::kBytes) continue;
        if (step.kind == Step::Kind::kCall) {
          calls[rule].push_back(step.rule);
          if (!nullable[static_cast<size_t>(grammar_.first_node(step.rule))]) continue;
        }
        work.push_back(step.to);
      }
    }
  }
  // Rules that call none that is left are taken away until none is.
  std::vector<int64_t> left(rules);
  std::vector<std::vector<size_t>> callers(rules);
  std::vector<size_t> done;
  for (size_t rule = 0; rule < rules; ++rule) {
    left[rule] = std::ssize(calls[rule]);
    for (const int32_t called : calls[rule]) callers[static_cast<size_t>(called)].push_back(rule);
    if (left[rule] == 0) done.push_back(rule);
  }
  for (size_t i = 0; i < done.size(); ++i) {
    for (const size_t caller : callers[done[i]]) {
      if (--left[caller] == 0) done.push_back(caller);
    }
  }
  if (done.size() < rules) {
    throw Error(where_, "refers to itself before anything else", "a reference has to lead inwards");
  }
}

}  // namespace fathom::grammar
