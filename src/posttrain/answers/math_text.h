#pragma once

#include <string>
#include <string_view>

namespace fathom {

// Unicode's mathematical signs as LaTeX has them ("2√3 ≤ ½" is "2\sqrt 3 \le \frac{1}{2}"),
// full-width forms and fancy quotes as ASCII, every kind of space as one. Whatever else there is
// stays.
std::string AsciiMath(std::string_view text);

// The text between the brace at `open` and the one that closes it; nothing when none does.
// end: behind the closing one.
bool ReadBraces(std::string_view text, size_t open, std::string_view& content, size_t& end);

}  // namespace fathom
