#include "text/grammar/stack_machine.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "base/error.h"

namespace fathom::grammar {

int32_t StackMachine::Start(int32_t rule) {
  return Close({FrameOf({locals_.First(rule), kBottom})});
}

int32_t StackMachine::After(int32_t frame) { return Close({frame}); }

int32_t StackMachine::Alone(int32_t local) { return StateOf({FrameOf({local, kBottom})}, false); }

int32_t StackMachine::FrameOf(Frame frame) {
  const auto [found, is_new] = frame_ids_.emplace(frame, static_cast<int32_t>(frames_.size()));
  if (is_new) frames_.push_back(frame);
  return found->second;
}

int32_t StackMachine::FindNext(int32_t id, uint8_t byte) {
  std::vector<int32_t> frames;
  for (size_t i = 0; i < states_[static_cast<size_t>(id)].tops.size(); ++i) {
    const Frame top = frames_[static_cast<size_t>(states_[static_cast<size_t>(id)].tops[i])];
    const int32_t local = locals_.Next(top.local, byte);
    if (local != LocalStates::kNone) frames.push_back(FrameOf({local, top.parent}));
  }
  const int32_t next = frames.empty() ? kDead : Close(std::move(frames));
  states_[static_cast<size_t>(id)].next[byte] = next;
  return next;
}

int32_t StackMachine::Close(std::vector<int32_t> frames) {
  std::vector<int32_t> tops;
  std::unordered_set<int32_t> seen(frames.begin(), frames.end());
  bool complete = false;
  const auto add = [&](int32_t frame) {
    if (seen.insert(frame).second) frames.push_back(frame);
    if (seen.size() > 16 * kMostStacks) {
      throw Error("grammar", "is too ambiguous", "alternatives that begin differently");
    }
  };
  while (!frames.empty()) {
    const int32_t id = frames.back();
    frames.pop_back();
    const Frame frame = frames_[static_cast<size_t>(id)];
    const bool reads = locals_.state(frame.local).reads;
    if (reads) tops.push_back(id);
    if (locals_.state(frame.local).ends) {
      if (frame.parent == kBottom) {
        complete = true;
      } else {
        add(frame.parent);
      }
    }
    if (!locals_.state(frame.local).calls) continue;
    // A copy: meeting new rules makes new states.
    const std::vector<std::pair<int32_t, int32_t>> calls = locals_.Calls(frame.local);
    for (const auto& [rule, after] : calls) {
      // Where nothing comes after the call, its rule ends for this one: lists do not pile up.
      const int32_t parent =
          locals_.state(after).only_ends() ? frame.parent : FrameOf({after, frame.parent});
      add(FrameOf({locals_.First(rule), parent}));
    }
  }
  if (tops.size() > kMostStacks) {
    throw Error("grammar", "is too ambiguous", "alternatives that begin differently");
  }
  std::ranges::sort(tops);
  return StateOf(std::move(tops), complete);
}

int32_t StackMachine::StateOf(std::vector<int32_t> tops, bool complete) {
  std::map<std::vector<int32_t>, int32_t>& ids = state_ids_[complete ? 1 : 0];
  const auto id = static_cast<int32_t>(states_.size());
  const auto [found, is_new] = ids.emplace(tops, id);
  if (is_new) {
    State& state = states_.emplace_back();
    state.tops = std::move(tops);
    state.complete = complete;
    state.next.fill(kUnknown);
  }
  return found->second;
}

int32_t StackMachine::Keep(int32_t id) {
  const State kept = states_[static_cast<size_t>(id)];
  const std::vector<Frame> old = std::exchange(frames_, {});
  frame_ids_.clear();
  states_.clear();
  for (auto& ids : state_ids_) ids.clear();
  std::vector<int32_t> tops;
  for (const int32_t top : kept.tops) {
    std::vector<int32_t> chain;
    for (int32_t frame = top; frame != kBottom; frame = old[static_cast<size_t>(frame)].parent) {
      chain.push_back(old[static_cast<size_t>(frame)].local);
    }
    int32_t parent = kBottom;
    for (auto local = chain.rbegin(); local != chain.rend(); ++local) {
      parent = FrameOf({*local, parent});
    }
    tops.push_back(parent);
  }
  std::ranges::sort(tops);
  return StateOf(std::move(tops), kept.complete);
}

}  // namespace fathom::grammar
