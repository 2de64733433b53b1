#include "infer/draft_policy.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace fathom {
namespace {

size_t IndexOf(int64_t sequences) {
  return static_cast<size_t>(
      std::bit_width(static_cast<uint64_t>(std::max<int64_t>(1, sequences) - 1)));
}

}  // namespace

double DraftPolicy::Way::Tokens() const {
  double sum = 0;
  for (const double count : tokens) sum += count;
  return sum / static_cast<double>(tokens.size());
}

// What else the machine does makes single steps long; the median does not see it.
double DraftPolicy::Way::Seconds() const {
  std::vector<double> sorted(seconds.begin(), seconds.end());
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  return *middle;
}

double DraftPolicy::Way::Doubt() const {
  const double mean = Tokens(), count = static_cast<double>(tokens.size());
  double squares = 0;
  for (const double value : tokens) squares += (value - mean) * (value - mean);
  // A few equal outcomes are no certainty.
  return 2 * std::sqrt(squares / count / count) + 0.5 / count;
}

DraftPolicy::Class& DraftPolicy::ClassOf(int64_t sequences) {
  const size_t index = IndexOf(sequences);
  if (classes_.size() <= index) classes_.resize(index + 1);
  return classes_[index];
}

bool DraftPolicy::ShouldDraft(int64_t sequences) {
  const Class& one = ClassOf(sequences);
  return one.phase == Phase::kSettled ? one.drafting : one.phase == Phase::kTryWith;
}

void DraftPolicy::Record(int64_t sequences, bool drafted, int64_t tokens, double seconds) {
  Class& one = ClassOf(sequences);
  Way& way = drafted ? one.with : one.without;
  way.seconds.push_back(seconds);
  way.tokens.push_back(static_cast<double>(tokens) /
                       static_cast<double>(std::max<int64_t>(1, sequences)));
  if (way.size() > options_.window) {
    way.seconds.pop_front();
    way.tokens.pop_front();
  }
  switch (one.phase) {
    case Phase::kTryWithout:
      if (drafted || one.without.size() < options_.trial_steps) return;
      if (one.with.size() >= options_.trial_steps) {
        Settle(one);
      } else {
        one.phase = Phase::kTryWith;
      }
      return;
    case Phase::kTryWith: {
      if (!drafted || one.with.size() < options_.trial_steps) return;
      const double even = one.without.Speed() * one.with.Seconds();  // tokens that make it pay
      const bool clear = std::abs(one.with.Tokens() - even) > one.with.Doubt();
      if (clear || one.with.size() >= options_.longest_trial) Settle(one);
      return;
    }
    case Phase::kSettled: {
      if (++one.steps < one.pause) return;
      Way& other = one.drafting ? one.without : one.with;
      other = Way();  // what is known of it is old
      one.phase = one.drafting ? Phase::kTryWithout : Phase::kTryWith;
      return;
    }
  }
}

void DraftPolicy::Settle(Class& one) {
  const bool drafting = one.with.Speed() > one.without.Speed();
  const bool confirmed = one.pause > 0 && drafting == one.drafting;
  one.drafting = drafting;
  one.pause = confirmed ? std::min(options_.longest_pause, 2 * one.pause) : options_.first_pause;
  one.phase = Phase::kSettled;
  one.steps = 0;
}

double DraftPolicy::Gain(int64_t sequences) const {
  const size_t index = IndexOf(sequences);
  if (index >= classes_.size()) return 0;
  const double with = classes_[index].with.Speed(), without = classes_[index].without.Speed();
  return with > 0 && without > 0 ? with / without : 0;
}

}  // namespace fathom
