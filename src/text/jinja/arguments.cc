#include "text/jinja/arguments.h"

#include <algorithm>

#include "base/error.h"
#include "text/jinja/operations.h"

namespace fathom::jinja {

BoundArguments::BoundArguments(Runtime& runtime, const Arguments& arguments,
                               std::string_view function,
                               std::initializer_list<std::string_view> parameters, size_t required)
    : runtime_(runtime),
      function_(function),
      values_(parameters.size()),
      given_(parameters.size(), false) {
  if (arguments.positional.size() > parameters.size()) {
    runtime.Fail(fmt::format("'{}' takes at most {} arguments", function, parameters.size()));
  }
  for (size_t i = 0; i < arguments.positional.size(); ++i) {
    values_[i] = arguments.positional[i];
    given_[i] = true;
  }
  for (const auto& [name, value] : arguments.named) {
    const auto place = std::find(parameters.begin(), parameters.end(), name);
    const auto index = static_cast<size_t>(place - parameters.begin());
    if (place == parameters.end()) {
      runtime.Fail(fmt::format("'{}' has no argument '{}'", function, name));
    }
    if (given_[index]) runtime.Fail(fmt::format("'{}' is given '{}' twice", function, name));
    values_[index] = value;
    given_[index] = true;
  }
  for (size_t i = 0; i < required; ++i) {
    if (!given_[i]) {
      runtime.Fail(fmt::format("'{}' needs its argument '{}'", function, parameters.begin()[i]));
    }
  }
}

int64_t BoundArguments::Int(size_t parameter, int64_t fallback) const {
  if (!given_[parameter]) return fallback;
  if (!values_[parameter].IsInteger()) {
    runtime_.Fail(
        fmt::format("'{}' takes an integer, not '{}'", function_, TypeName(values_[parameter])));
  }
  return values_[parameter].integer();
}

bool BoundArguments::Bool(size_t parameter, bool fallback) const {
  return given_[parameter] ? IsTrue(values_[parameter]) : fallback;
}

const Text& BoundArguments::Str(size_t parameter) const {
  static const Text empty;
  if (!given_[parameter]) return empty;
  if (values_[parameter].IsUndefined()) FailUndefined(runtime_, values_[parameter]);
  if (!values_[parameter].IsString()) {
    runtime_.Fail(
        fmt::format("'{}' takes a string, not '{}'", function_, TypeName(values_[parameter])));
  }
  return values_[parameter].text();
}

}  // namespace fathom::jinja
