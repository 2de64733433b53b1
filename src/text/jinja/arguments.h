#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/runtime.h"
#include "text/jinja/value.h"

namespace fathom::jinja {

// What a call was given.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

// Arguments by a function's parameters.
class BoundArguments {
 public:
  // Fails when there are too many, when one is not a parameter or is given twice, and when one of
  // the first `required` is missing.
  BoundArguments(Runtime& runtime, const Arguments& arguments, std::string_view function,
                 std::initializer_list<std::string_view> parameters, size_t required = 0);

  bool Has(size_t parameter) const { return given_[parameter]; }
  // Undefined when it was not given.
  const Value& operator[](size_t parameter) const { return values_[parameter]; }
  int64_t Int(size_t parameter, int64_t fallback) const;
  bool Bool(size_t parameter, bool fallback) const;
  // The text of a string; fails for anything else. Not given: empty.
  const Text& Str(size_t parameter) const;

 private:
  Runtime& runtime_;
  std::string function_;
  std::vector<Value> values_;
  std::vector<bool> given_;
};

}  // namespace fathom::jinja
