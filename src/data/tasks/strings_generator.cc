// Letters of made-up words, solved letter by letter.

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "data/tasks/generators.h"

namespace fathom {
namespace {

constexpr std::string_view kConsonants = "bdfgklmnprstvz", kVowels = "aeiou";

// "t, o, m".
std::string Spelled(std::string_view word) {
  std::string out;
  for (const char letter : word) {
    if (!out.empty()) out += ", ";
    out += letter;
  }
  return out;
}

WorkedProblem Reverse(const std::string& word) {
  WorkedProblem problem;
  problem.question = fmt::format("Write the word {} backwards.", word);
  const std::string backwards(word.rbegin(), word.rend());
  problem.steps = {fmt::format("The letters are {}", Spelled(word)),
                   fmt::format("From the last one on they are {}", Spelled(backwards))};
  problem.answer = backwards;
  return problem;
}

WorkedProblem Count(const std::string& word, char letter) {
  WorkedProblem problem;
  problem.kind = AnswerKind::kMath;
  problem.question = fmt::format("How often is the letter {} in the word {}?", letter, word);
  int found = 0;
  for (size_t i = 0; i < word.size(); ++i) {
    if (word[i] == letter) ++found;
    problem.steps.push_back(fmt::format("Letter {} is {}: {} so far", i + 1, word[i], found));
  }
  problem.answer = fmt::format("{}", found);
  return problem;
}

WorkedProblem Pick(const std::string& word, size_t place) {
  WorkedProblem problem;
  problem.question = fmt::format("Which letter is number {} of the word {}?", place + 1, word);
  for (size_t i = 0; i <= place; ++i) {
    problem.steps.push_back(fmt::format("Letter {} is {}", i + 1, word[i]));
  }
  problem.answer = std::string(1, word[place]);
  return problem;
}

WorkedProblem Remove(const std::string& word, char letter) {
  WorkedProblem problem;
  problem.question = fmt::format("Write the word {} without the letter {}.", word, letter);
  std::string rest = word;
  std::erase(rest, letter);
  problem.steps = {fmt::format("The letters are {}", Spelled(word)),
                   fmt::format("Without {} they are {}", letter, Spelled(rest))};
  problem.answer = rest;
  return problem;
}

WorkedProblem SortLetters(const std::string& word) {
  WorkedProblem problem;
  problem.question = fmt::format("Put the letters of the word {} in order of the alphabet.", word);
  std::string sorted = word;
  std::sort(sorted.begin(), sorted.end());
  problem.steps = {fmt::format("The letters are {}", Spelled(word)),
                   fmt::format("In order they are {}", Spelled(sorted))};
  problem.answer = sorted;
  return problem;
}

}  // namespace

std::string DrawMadeUpWord(RandomStream& random, int64_t length) {
  std::string word;
  bool vowel = random.NextBelow(2) == 0;
  for (int64_t i = 0; i < length; ++i, vowel = !vowel) {
    const std::string_view letters = vowel ? kVowels : kConsonants;
    word += letters[random.NextBelow(letters.size())];
  }
  return word;
}

WorkedProblem DrawStrings(RandomStream& random, int difficulty) {
  const std::string word = DrawMadeUpWord(random, 3 + difficulty);
  const uint64_t task = random.NextBelow(5);
  const size_t place = random.NextBelow(word.size());
  WorkedProblem problem;
  problem.kind = AnswerKind::kText;
  std::string argument(1, word[place]);
  switch (task) {
    case 0:
      problem = Reverse(word);
      argument.clear();
      break;
    case 1:
      problem = Count(word, word[place]);
      break;
    case 2:
      problem = Pick(word, place);
      argument = fmt::format("{}", place);
      break;
    case 3:
      problem = Remove(word, word[place]);
      break;
    default:
      problem = SortLetters(word);
      argument.clear();
  }
  if (task != 1) problem.kind = AnswerKind::kText;
  problem.canonical = fmt::format("strings:{}:{}:{}", task, word, argument);
  return problem;
}

}  // namespace fathom
