#include <functional>
#include <map>

#include "base/error.h"
#include "text/jinja/filters.h"
#include "text/jinja/operations.h"
#include "text/jinja/text_methods.h"

// The tests of `x is ...`.
namespace fathom::jinja {
namespace {

using Kind = Value::Kind;

struct Call {
  Runtime& runtime;
  const Value& value;
  const Value& other;  // the first argument
};

struct Test {
  size_t arguments;
  std::function<bool(const Call&)> apply;
};

bool IsMultiple(const Call& call, const Value& divisor, int64_t remainder) {
  const Value rest = Binary(call.runtime, "%", call.value, divisor);
  return Equal(call.runtime, rest, Value::Int(remainder));
}

bool IsCased(const Call& call, std::string_view method) {
  const Value text = call.runtime.String(ToText(call.runtime, call.value));
  return IsTrue(CallTextMethod(call.runtime, text, method, {}));
}

bool IsSame(const Value& a, const Value& b) {
  if (a.kind() != b.kind()) return false;
  if (a.IsNone()) return true;
  if (a.IsInteger()) return a.integer() == b.integer();
  return !a.IsFloat() && !a.IsUndefined() && a.identity() == b.identity();
}

const std::map<std::string_view, Test>& Tests() {
  const auto less = [](const Call& call) { return Less(call.runtime, call.value, call.other); };
  const auto greater = [](const Call& call) { return Less(call.runtime, call.other, call.value); };
  const auto equal = [](const Call& call) { return Equal(call.runtime, call.value, call.other); };
  const auto not_equal = [equal](const Call& call) { return !equal(call); };
  const auto at_most = [less, equal](const Call& call) { return less(call) || equal(call); };
  const auto at_least = [greater, equal](const Call& call) { return greater(call) || equal(call); };
  static const std::map<std::string_view, Test> tests = {
      {"defined", {0, [](const Call& call) { return !call.value.IsUndefined(); }}},
      {"undefined", {0, [](const Call& call) { return call.value.IsUndefined(); }}},
      {"none", {0, [](const Call& call) { return call.value.IsNone(); }}},
      {"boolean", {0, [](const Call& call) { return call.value.IsBool(); }}},
      {"true", {0, [](const Call& call) { return call.value.IsBool() && call.value.boolean(); }}},
      {"false", {0, [](const Call& call) { return call.value.IsBool() && !call.value.boolean(); }}},
      {"integer", {0, [](const Call& call) { return call.value.kind() == Kind::kInt; }}},
      {"float", {0, [](const Call& call) { return call.value.IsFloat(); }}},
      {"number", {0, [](const Call& call) { return call.value.IsNumber(); }}},
      {"string", {0, [](const Call& call) { return call.value.IsString(); }}},
      {"mapping", {0, [](const Call& call) { return call.value.IsDict(); }}},
      {"iterable", {0, [](const Call& call) { return IsIterable(call.value); }}},
      {"sequence",
       {0,
        [](const Call& call) {
          const Value& value = call.value;
          return value.IsUndefined() || value.IsString() || value.IsDict() ||
                 (value.IsSequence() && value.sequence().IsIndexable());
        }}},
      {"callable", {0, [](const Call& call) { return call.value.kind() == Kind::kFunction; }}},
      {"escaped",
       {0, [](const Call& call) { return call.value.IsString() && call.value.string().markup; }}},
      {"odd", {0, [](const Call& call) { return IsMultiple(call, Value::Int(2), 1); }}},
      {"even", {0, [](const Call& call) { return IsMultiple(call, Value::Int(2), 0); }}},
      {"divisibleby", {1, [](const Call& call) { return IsMultiple(call, call.other, 0); }}},
      {"lower", {0, [](const Call& call) { return IsCased(call, "islower"); }}},
      {"upper", {0, [](const Call& call) { return IsCased(call, "isupper"); }}},
      {"filter",
       {0,
        [](const Call& call) { return call.value.IsString() && HasFilter(call.value.bytes()); }}},
      {"test",
       {0, [](const Call& call) { return call.value.IsString() && HasTest(call.value.bytes()); }}},
      {"sameas", {1, [](const Call& call) { return IsSame(call.value, call.other); }}},
      {"in", {1, [](const Call& call) { return Contains(call.runtime, call.other, call.value); }}},
      {"eq", {1, equal}},
      {"equalto", {1, equal}},
      {"==", {1, equal}},
      {"ne", {1, not_equal}},
      {"!=", {1, not_equal}},
      {"lt", {1, less}},
      {"lessthan", {1, less}},
      {"<", {1, less}},
      {"gt", {1, greater}},
      {"greaterthan", {1, greater}},
      {">", {1, greater}},
      {"le", {1, at_most}},
      {"<=", {1, at_most}},
      {"ge", {1, at_least}},
      {">=", {1, at_least}},
  };
  return tests;
}

}  // namespace

bool HasTest(std::string_view name) { return Tests().contains(name); }

bool ApplyTest(Runtime& runtime, std::string_view name, const Value& value,
               const Arguments& arguments) {
  const auto test = Tests().find(name);
  if (test == Tests().end()) runtime.Fail(fmt::format("there is no test '{}'", name));
  if (arguments.positional.size() != test->second.arguments || !arguments.named.empty()) {
    runtime.Fail(fmt::format("test '{}' takes {} arguments", name, test->second.arguments));
  }
  const Value none = Value::None();
  return test->second.apply(
      {runtime, value, arguments.positional.empty() ? none : arguments.positional[0]});
}

}  // namespace fathom::jinja
