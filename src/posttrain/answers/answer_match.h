#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace fathom {

struct AnswerMatchOptions {
  // Numbers that differ by no more than this part of the larger one are equal; 0: exact.
  double relative_tolerance = 0;
};

// Whether an answer says what the right one does, as mathematics. What counts as the same:
// docs/reasoning.md. Never evaluates code, and takes bounded time whatever it is given.
bool MathAnswersMatch(std::string_view right, std::string_view given,
                      const AnswerMatchOptions& options = {});

// Whether they are the same words: case, white space, quotes, white space behind commas and a full
// stop aside.
bool TextAnswersMatch(std::string_view right, std::string_view given);

// Whether the answer begins with the letter of the right choice, alone or marked as one: "B",
// "(b)", "B. Paris", "**B**".
bool ChoiceAnswersMatch(std::string_view right_letter, std::string_view given);

// Whether the answer is arithmetic (+ - * / and brackets) over exactly these numbers, each used
// once, with the value `right`. "1 + 2 = 3" counts as its formula.
bool ExpressionAnswerMatches(std::string_view right, std::span<const int64_t> numbers,
                             std::string_view given);

}  // namespace fathom
