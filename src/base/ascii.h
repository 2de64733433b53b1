#pragma once

#include <string>
#include <string_view>

namespace fathom {

// Without ASCII's white space at both ends.
std::string_view Trimmed(std::string_view text);

// A-Z as a-z; every other byte stays.
std::string LowerCase(std::string_view text);

}  // namespace fathom
