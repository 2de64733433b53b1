#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <unordered_map>
#include <vector>

#include "text/grammar/local_states.h"

namespace fathom::grammar {

// Reads a text by a grammar. A state is a set of stacks, each a chain of frames: where the
// innermost rule stands, and where the rules around it go on when it ends. Frames and states are
// kept once and have numbers, so that after a while a step is one look into a table.
class StackMachine {
 public:
  static constexpr int32_t kDead = -1;    // no string of the grammar begins so
  static constexpr int32_t kBottom = -1;  // what is under the outermost frame
  // Readings of one text at a time: what is more ambiguous is an error.
  static constexpr size_t kMostStacks = 256;

  struct Frame {
    int32_t local;   // of LocalStates
    int32_t parent;  // another frame, where the rule around it goes on; or kBottom
    auto operator<=>(const Frame&) const = default;
  };
  struct State {
    std::vector<int32_t> tops;  // frames that a byte can go on from, ascending
    bool complete = false;      // the text may end here
    std::array<int32_t, 256> next;
  };

  // The states of rules are shared with other machines of the same grammar, and have to outlive
  // it.
  explicit StackMachine(LocalStates& locals) : locals_(locals) {}

  // At the beginning of a rule.
  int32_t Start(int32_t rule);
  // Where the text goes on that a frame stands for, which may have ended.
  int32_t After(int32_t frame);
  // With this frame alone, which goes on by a byte: for what is to be found out about its rule.
  int32_t Alone(int32_t local);
  // After a byte; kDead when it cannot come. Throws Error when it is too ambiguous.
  int32_t Next(int32_t state, uint8_t byte) {
    const int32_t next = states_[static_cast<size_t>(state)].next[byte];
    return next != kUnknown ? next : FindNext(state, byte);
  }

  const State& state(int32_t id) const { return states_[static_cast<size_t>(id)]; }
  const Frame& frame(int32_t id) const { return frames_[static_cast<size_t>(id)]; }
  size_t size() const { return states_.size(); }

  // Forgets everything but one state; its new number.
  int32_t Keep(int32_t state);

 private:
  static constexpr int32_t kUnknown = -2;

  int32_t FindNext(int32_t state, uint8_t byte);
  int32_t FrameOf(Frame frame);
  // The state of these frames and all that follow from them without a byte.
  int32_t Close(std::vector<int32_t> frames);
  int32_t StateOf(std::vector<int32_t> tops, bool complete);

  LocalStates& locals_;
  std::vector<Frame> frames_;
  std::map<Frame, int32_t> frame_ids_;
  std::vector<State> states_;
  std::map<std::vector<int32_t>, int32_t> state_ids_[2];  // by complete
};

}  // namespace fathom::grammar
