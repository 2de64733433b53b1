#pragma once

// The kinds of problems, a file each (problem_generator.cc lists them), and what they share.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/random.h"
#include "data/tasks/problem_generator.h"

namespace fathom {

WorkedProblem DrawArithmetic(RandomStream& random, int difficulty);
WorkedProblem DrawCountdown(RandomStream& random, int difficulty);
WorkedProblem DrawEquation(RandomStream& random, int difficulty);
WorkedProblem DrawPasskey(RandomStream& random, int difficulty);
WorkedProblem DrawSorting(RandomStream& random, int difficulty);
WorkedProblem DrawStrings(RandomStream& random, int difficulty);
WorkedProblem DrawWords(RandomStream& random, int difficulty);

// Uniform in [least, most].
inline int64_t DrawBetween(RandomStream& random, int64_t least, int64_t most) {
  return least + static_cast<int64_t>(random.NextBelow(static_cast<uint64_t>(most - least + 1)));
}

// One of them.
template <typename T>
const T& DrawFrom(RandomStream& random, std::span<const T> values) {
  return values[random.NextBelow(values.size())];
}

template <typename T>
void Shuffle(RandomStream& random, std::vector<T>& values) {
  for (size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[random.NextBelow(i)]);
}

// A word that is none, easily said: consonants and vowels in turn.
std::string DrawMadeUpWord(RandomStream& random, int64_t length);

}  // namespace fathom
