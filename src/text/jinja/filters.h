#pragma once

#include <string_view>

#include "text/jinja/arguments.h"
#include "text/jinja/runtime.h"
#include "text/jinja/value.h"

namespace fathom::jinja {

// value|name(arguments). Fails for a filter that there is not.
Value ApplyFilter(Runtime& runtime, std::string_view name, const Value& value,
                  const Arguments& arguments);
bool HasFilter(std::string_view name);

// value is name(arguments). Fails for a test that there is not.
bool ApplyTest(Runtime& runtime, std::string_view name, const Value& value,
               const Arguments& arguments);
bool HasTest(std::string_view name);

}  // namespace fathom::jinja
