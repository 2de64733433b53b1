#pragma once

#include <string>
#include <string_view>

namespace fathom::jinja {

// Upper or lower case of well-formed UTF-8, one character for one, by PCRE2's Unicode tables.
std::string MapCase(std::string_view text, bool upper);

}  // namespace fathom::jinja
