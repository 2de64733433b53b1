#pragma once

#include <string_view>

#include "text/jinja/arguments.h"
#include "text/jinja/runtime.h"
#include "text/jinja/value.h"

namespace fathom::jinja {

// Methods of Python's str, list, tuple and dict, and of loops, that change nothing.
bool HasMethod(const Value& object, std::string_view name);
// Methods that would change their object (append, update, ...): the sandbox has none of them.
bool ChangesObject(const Value& object, std::string_view name);
// The method as a value that can be called.
Value BindMethod(Runtime& runtime, const Value& object, std::string_view name);
Value CallMethod(Runtime& runtime, const Value& object, std::string_view name,
                 const Arguments& arguments);

}  // namespace fathom::jinja
