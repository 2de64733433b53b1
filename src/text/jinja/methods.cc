#include "text/jinja/methods.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "text/jinja/operations.h"
#include "text/jinja/text_methods.h"

namespace fathom::jinja {
namespace {

using Kind = Value::Kind;
using Form = SequenceObject::Form;

template <size_t N>
bool IsOneOf(std::string_view name, const std::array<std::string_view, N>& names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool IsArray(const Value& value) { return value.IsSequence() && value.sequence().IsIndexable(); }

Value CallDictMethod(Runtime& runtime, const Value& self, std::string_view name,
                     const Arguments& arguments) {
  const DictObject& dict = self.dict();
  if (name == "get") {
    const BoundArguments bound(runtime, arguments, name, {"key", "default"}, 1);
    const Value* found = FindItem(runtime, dict, bound[0]);
    if (found != nullptr) return *found;
    return bound.Has(1) ? bound[1] : Value::None();
  }
  const BoundArguments bound(runtime, arguments, name, {});
  runtime.Step(dict.entries.size() + 1);
  if (name == "copy") {
    const Value copy = runtime.Dict();
    for (const auto& [key, value] : dict.entries) SetItem(runtime, copy.dict(), key, value);
    return copy;
  }
  std::vector<Value> items;
  for (const auto& [key, value] : dict.entries) {
    items.push_back(name == "keys" ? key : name == "values" ? value : runtime.Tuple({key, value}));
  }
  const Form form = name == "keys" ? Form::kKeys : name == "values" ? Form::kValues : Form::kItems;
  return runtime.Sequence(form, std::move(items));
}

Value CallSequenceMethod(Runtime& runtime, const Value& self, std::string_view name,
                         const Arguments& arguments) {
  const std::vector<Value>& items = self.sequence().items;
  if (name == "copy") {
    const BoundArguments bound(runtime, arguments, name, {});
    runtime.Step(items.size());
    return runtime.List(items);
  }
  const BoundArguments bound(runtime, arguments, name, {"value", "start", "stop"}, 1);
  const auto is_wanted = [&](const Value& item) { return Equal(runtime, item, bound[0]); };
  if (name == "count") return Value::Int(std::count_if(items.begin(), items.end(), is_wanted));
  const auto size = static_cast<int64_t>(items.size());
  const auto place = [&](int64_t index) {
    return std::clamp<int64_t>(index < 0 ? index + size : index, 0, size);
  };
  const int64_t begin = place(bound.Int(1, 0));
  const int64_t end = std::max(begin, place(bound.Int(2, size)));
  const auto found = std::find_if(items.begin() + begin, items.begin() + end, is_wanted);
  if (found == items.begin() + end) runtime.Fail("'index' does not find its value");
  return Value::Int(found - items.begin());
}

Value CallLoopMethod(Runtime& runtime, const Value& self, std::string_view name,
                     const Arguments& arguments) {
  LoopObject& loop = self.loop();
  if (!arguments.named.empty()) runtime.Fail(fmt::format("'{}' takes no names", name));
  if (name == "cycle") {
    if (arguments.positional.empty()) runtime.Fail("'cycle' needs values");
    return arguments.positional[static_cast<size_t>(loop.index0) % arguments.positional.size()];
  }
  const bool same =
      loop.has_changed &&
      std::equal(loop.last_changed.begin(), loop.last_changed.end(), arguments.positional.begin(),
                 arguments.positional.end(),
                 [&](const Value& a, const Value& b) { return Equal(runtime, a, b); });
  loop.has_changed = true;
  loop.last_changed = arguments.positional;
  return Value::Bool(!same);
}

}  // namespace

bool HasMethod(const Value& object, std::string_view name) {
  static constexpr std::array<std::string_view, 5> kDict = {"get", "items", "keys", "values",
                                                            "copy"};
  static constexpr std::array<std::string_view, 2> kArray = {"count", "index"};
  static constexpr std::array<std::string_view, 2> kLoop = {"cycle", "changed"};
  switch (object.kind()) {
    case Kind::kString:
      return HasTextMethod(name);
    case Kind::kDict:
      return IsOneOf(name, kDict);
    case Kind::kSequence:
      return IsArray(object) &&
             (IsOneOf(name, kArray) || (name == "copy" && object.sequence().form == Form::kList));
    case Kind::kLoop:
      return IsOneOf(name, kLoop);
    default:
      return false;
  }
}

bool ChangesObject(const Value& object, std::string_view name) {
  static constexpr std::array<std::string_view, 5> kDict = {"clear", "pop", "popitem", "setdefault",
                                                            "update"};
  static constexpr std::array<std::string_view, 8> kList = {"append", "clear", "pop",    "reverse",
                                                            "insert", "sort",  "extend", "remove"};
  if (object.IsDict()) return IsOneOf(name, kDict);
  return object.IsSequence() && object.sequence().form == Form::kList && IsOneOf(name, kList);
}

Value BindMethod(Runtime& runtime, const Value& object, std::string_view name) {
  auto* method = runtime.Make<FunctionObject>(sizeof(FunctionObject));
  method->form = FunctionObject::Form::kMethod;
  method->name = name;
  method->self = object;
  return Value(method);
}

Value CallMethod(Runtime& runtime, const Value& object, std::string_view name,
                 const Arguments& arguments) {
  switch (object.kind()) {
    case Kind::kString:
      return CallTextMethod(runtime, object, name, arguments);
    case Kind::kDict:
      return CallDictMethod(runtime, object, name, arguments);
    case Kind::kLoop:
      return CallLoopMethod(runtime, object, name, arguments);
    default:
      return CallSequenceMethod(runtime, object, name, arguments);
  }
}

}  // namespace fathom::jinja
