#pragma once

#include <string_view>

#include "text/grammar/expression.h"

namespace fathom::grammar {

// The content of a JSON string that a regular expression of ECMAScript finds itself in: literals,
// `.`, classes, \d \w \s and their opposites, groups, alternatives, quantifiers, and ^ and $ at the
// ends of the whole or of its alternatives. Throws Error (with `where`) for what else there is
// (assertions, back references, \b) and for what is no regular expression.
Expression PatternContent(std::string_view pattern, std::string_view where);

}  // namespace fathom::grammar
