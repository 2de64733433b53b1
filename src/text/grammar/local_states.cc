#include "text/grammar/local_states.h"

#include <algorithm>

#include "base/error.h"

namespace fathom::grammar {

using Step = Grammar::Step;

int32_t LocalStates::First(int32_t rule) {
  if (static_cast<size_t>(rule) >= first_.size()) {
    first_.resize(static_cast<size_t>(rule) + 1, kUnknown);
  }
  if (first_[static_cast<size_t>(rule)] == kUnknown) {
    const int32_t first = Of({grammar_.first_node(rule)});
    first_[static_cast<size_t>(rule)] = first;
  }
  return first_[static_cast<size_t>(rule)];
}

int32_t LocalStates::Next(int32_t id, uint8_t byte) {
  std::vector<int32_t> nodes;
  for (const int32_t node : states_[static_cast<size_t>(id)].nodes) {
    for (const Step& step : grammar_.steps(node)) {
      if (step.kind == Step::Kind::kBytes && step.low <= byte && byte <= step.high) {
        nodes.push_back(step.to);
      }
    }
  }
  return nodes.empty() ? kNone : Of(std::move(nodes));
}

int32_t LocalStates::Of(std::vector<int32_t> nodes) {
  std::vector<int32_t> work = nodes;
  std::ranges::sort(nodes);
  const auto add = [&](int32_t node) {
    const auto at = std::ranges::lower_bound(nodes, node);
    if (at != nodes.end() && *at == node) return;
    nodes.insert(at, node);
    work.push_back(node);
  };
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  while (!work.empty()) {
    const int32_t node = work.back();
    work.pop_back();
    for (const Step& step : grammar_.steps(node)) {
      if (step.kind == Step::Kind::kEmpty) add(step.to);
    }
  }
  // Nodes that nothing but empty steps leads on from do not tell states apart.
  std::erase_if(nodes, [&](int32_t node) {
    return !grammar_.ends(node) && std::ranges::all_of(grammar_.steps(node), [](const Step& step) {
      return step.kind == Step::Kind::kEmpty;
    });
  });
  const auto found = ids_.find(nodes);
  if (found != ids_.end()) return found->second;
  nodes_ += nodes.size();
  if (std::ssize(states_) == kMostStates || nodes_ > kMostNodes) {
    throw Error("grammar", "has too many states", "simpler patterns");
  }
  State state;
  for (const int32_t node : nodes) {
    state.ends = state.ends || grammar_.ends(node);
    for (const Step& step : grammar_.steps(node)) {
      state.reads = state.reads || step.kind == Step::Kind::kBytes;
      state.calls = state.calls || step.kind == Step::Kind::kCall;
    }
  }
  state.nodes = nodes;
  const auto id = static_cast<int32_t>(states_.size());
  ids_.emplace(std::move(nodes), id);
  states_.push_back(std::move(state));
  return id;
}

const std::vector<std::pair<int32_t, int32_t>>& LocalStates::Calls(int32_t id) {
  if (!states_[static_cast<size_t>(id)].called_known) {
    std::map<int32_t, std::vector<int32_t>> after;  // by rule
    for (const int32_t node : states_[static_cast<size_t>(id)].nodes) {
      for (const Step& step : grammar_.steps(node)) {
        if (step.kind == Step::Kind::kCall) after[step.rule].push_back(step.to);
      }
    }
    std::vector<std::pair<int32_t, int32_t>> called;
    for (auto& [rule, nodes] : after) called.emplace_back(rule, Of(std::move(nodes)));
    State& state = states_[static_cast<size_t>(id)];
    state.called = std::move(called);
    state.called_known = true;
  }
  return states_[static_cast<size_t>(id)].called;
}

}  // namespace fathom::grammar
