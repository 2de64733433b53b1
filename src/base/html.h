#pragma once

#include <string>
#include <string_view>

namespace fathom {

// Text for HTML and SVG, inside and outside of attributes in double quotes. A control character
// becomes a space: it is not well-formed, whatever is written for it.
std::string EscapeHtml(std::string_view text);

}  // namespace fathom
