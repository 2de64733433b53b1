#pragma once

#include <string_view>

#include "text/jinja/arguments.h"
#include "text/jinja/runtime.h"
#include "text/jinja/value.h"

namespace fathom::jinja {

bool HasTextMethod(std::string_view name);
// self is a string.
Value CallTextMethod(Runtime& runtime, const Value& self, std::string_view name,
                     const Arguments& arguments);

// Shared with filters. strip() of both, the left (-1) or the right (1) end; chars: null for white
// space.
Text Strip(Runtime& runtime, const Text& text, const Text* chars, int side = 0);
Text Upper(Runtime& runtime, const Text& text);
Text Lower(Runtime& runtime, const Text& text);
Text Capitalize(Runtime& runtime, const Text& text);
// count: at most so many; negative: all.
Text Replace(Runtime& runtime, const Text& text, const Text& from, const Text& to, int64_t count);
std::vector<Text> SplitLines(Runtime& runtime, const Text& text, bool keep_ends);

}  // namespace fathom::jinja
