#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "posttrain/answers/expression.h"
#include "posttrain/answers/units.h"

namespace fathom {

// From low to high.
struct AnswerInterval {
  Expression low, high;
  bool low_closed = false, high_closed = false;
};

// What an answer says, as far as it can be read.
struct AnswerForm {
  enum class Kind {
    kText,      // words, or mathematics that we do not read
    kValue,     // value, unit, percent
    kTuple,     // items between open and close; of two it may be an interval as well
    kSet,       // items; a bare list ("1, 2", "1 or 2") is one
    kMatrix,    // items row by row, columns
    kRegion,    // intervals of the number line; variable, where one is named
    kRelation,  // items: the two sides of an equation
    kBased,     // text: the digits, and base
    kRatio,     // items: 2 : 3 : 4
  };
  Kind kind = Kind::kText;
  // For comparison letter by letter: without white space, LaTeX's layout and, in words, case.
  std::string text;
  std::optional<Expression> value;
  Unit unit;
  bool percent = false;
  std::vector<AnswerForm> items;
  char open = '(', close = ')';
  size_t columns = 0;
  std::vector<AnswerInterval> region;
  std::string variable;
  // kRelation: the left side is a name ("x", "f(x)", "(x, y)"), the right side what it stands for.
  bool names = false;
  int base = 0;
};

// Reads an answer as people and models write it: LaTeX with or without dollar signs, plain text, or
// \boxed{...} around it. Never fails: what cannot be read is text. Takes time in proportion to the
// length, and reads no more than 4 KiB as mathematics.
AnswerForm ParseAnswer(std::string_view text);

// The text without what only sets it off: dollar signs, \boxed, \text, bold, a full stop.
std::string_view UnwrapAnswer(std::string_view text);

}  // namespace fathom
