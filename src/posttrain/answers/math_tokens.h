#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fathom {

// What mathematics is read as: LaTeX, plain text ("2*sqrt(3)/5") and Unicode ("2√3") give the same.
struct MathToken {
  enum class Kind {
    kNumber,  // text: digits, perhaps with a point
    kLetter,  // text: a variable: "x", "theta"
    kName,    // text: a function or constant: "sin", "sqrt", "frac", "pi", "infinity"
    kWord,    // text: words of a language: units, names
    kSymbol,  // text: "+", "(", "<=", "\\{" (of a set; "{" groups), "+-", "cup", "and", ...
    kBegin,   // text: the environment's name
    kEnd,     // the same
    kDegree,  // a degree sign
  };
  Kind kind;
  std::string text;
  std::string repeating{};  // kNumber: digits that repeat without end
  bool space = false;       // white space before it

  bool Is(std::string_view symbol) const { return kind == Kind::kSymbol && text == symbol; }
  bool IsName(std::string_view name) const { return kind == Kind::kName && text == name; }
};

// More than this is no answer.
inline constexpr size_t kMostTokens = 600;

// Nothing for what is no mathematics that we know: an unknown command, or too long.
std::optional<std::vector<MathToken>> TokenizeMath(std::string_view text);

}  // namespace fathom
