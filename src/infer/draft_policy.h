#pragma once

#include <cstdint>
#include <deque>
#include <vector>

namespace fathom {

// When drafting pays. A step that verifies guesses takes longer than one without, by how much
// depends on how many sequences share it (one reads the weights for all of its rows, many do their
// arithmetic row by row), and gives as many more tokens as guesses hold. Both are measured while
// the engine runs, in classes of similar numbers of sequences: a class tries both ways, goes on
// with the faster one, and tries the other again ever more seldom. A trial of drafting that is
// plainly slower is given up early, so that little is lost where it does not pay.
//
// Pure: it sees what it is told and knows no clock.
class DraftPolicy {
 public:
  struct Options {
    int64_t trial_steps = 6;     // of either way at least, before it is judged
    int64_t longest_trial = 32;  // of drafting, while the judgement is not clear
    int64_t window = 64;         // steps that a judgement looks back
    int64_t first_pause = 256;   // steps until the other way is tried again; then twice as many
    int64_t longest_pause = 1 << 14;  // ... up to this
  };

  DraftPolicy() : DraftPolicy(Options()) {}
  explicit DraftPolicy(const Options& options) : options_(options) {}

  // Whether the next step for so many answers should draft.
  bool ShouldDraft(int64_t sequences);
  // A step computed answers of so many sequences, nothing else, with drafts (guesses verified and
  // new ones made) or without, and wrote so many tokens.
  void Record(int64_t sequences, bool drafted, int64_t tokens, double seconds);

  // Tokens a second with drafts over those without, as far as is known of this number of
  // sequences; 0: not known.
  double Gain(int64_t sequences) const;

 private:
  // The last steps of one way.
  struct Way {
    std::deque<double> seconds, tokens;  // of a step; of each of its sequences
    int64_t size() const { return static_cast<int64_t>(seconds.size()); }
    double Tokens() const;   // the mean
    double Seconds() const;  // the median
    double Speed() const { return seconds.empty() ? 0 : Tokens() / Seconds(); }
    double Doubt() const;  // two standard errors of Tokens()
  };
  enum class Phase : uint8_t { kTryWithout, kTryWith, kSettled };
  struct Class {
    Way with, without;
    Phase phase = Phase::kTryWithout;
    bool drafting = false;  // the way that is gone on with
    int64_t steps = 0;      // since it was settled
    int64_t pause = 0;      // until the next trial
  };
  Class& ClassOf(int64_t sequences);
  void Settle(Class& one);

  Options options_;
  std::vector<Class> classes_;  // 1, 2, 3-4, 5-8, ... sequences
};

}  // namespace fathom
