#include <algorithm>

#include "base/error.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/methods.h"
#include "text/jinja/operations.h"
#include "text/jinja/time_text.h"

namespace fathom::jinja {

Value Interpreter::Global(const std::string& name) {
  for (const std::string_view known :
       {"namespace", "raise_exception", "range", "dict", "strftime_now"}) {
    if (name != known) continue;
    auto* function = runtime_.Make<FunctionObject>(sizeof(FunctionObject));
    function->name = name;
    return Value(function);
  }
  return runtime_.Undefined(name);
}

Value Interpreter::Call(const Value& callee, const Arguments& arguments) {
  if (callee.IsUndefined()) FailUndefined(runtime_, callee);
  if (callee.kind() != Value::Kind::kFunction) {
    runtime_.Fail(fmt::format("'{}' cannot be called", TypeName(callee)));
  }
  const FunctionObject& function = callee.function();
  switch (function.form) {
    case FunctionObject::Form::kMacro:
      return CallMacro(function, arguments);
    case FunctionObject::Form::kMethod:
      return CallMethod(runtime_, function.self, function.name, arguments);
    case FunctionObject::Form::kGlobal:
      return CallGlobal(function.name, arguments);
  }
  return {};
}

Value Interpreter::CallMacro(const FunctionObject& macro, const Arguments& arguments) {
  const Node& syntax = *macro.syntax;
  const std::vector<std::string>& parameters = syntax.parameters;
  const bool is_block = syntax.kind == Node::Kind::kCallBlock;
  Scope* const scope = NewScope(macro.scope);
  std::vector<Value> extra;
  for (size_t i = 0; i < arguments.positional.size(); ++i) {
    if (i < parameters.size()) {
      scope->Set(parameters[i], arguments.positional[i]);
    } else if (syntax.takes_varargs) {
      extra.push_back(arguments.positional[i]);
    } else {
      runtime_.Fail(
          fmt::format("macro '{}' takes at most {} arguments", macro.name, parameters.size()));
    }
  }
  const Value names = runtime_.Dict();
  Value caller = runtime_.Undefined("caller");
  std::vector<bool> given(parameters.size(), false);
  std::fill_n(given.begin(), std::min(parameters.size(), arguments.positional.size()), true);
  for (const auto& [name, value] : arguments.named) {
    const auto place = std::find(parameters.begin(), parameters.end(), name);
    const auto index = static_cast<size_t>(place - parameters.begin());
    if (place != parameters.end()) {
      if (given[index]) {
        runtime_.Fail(fmt::format("macro '{}' is given '{}' twice", macro.name, name));
      }
      given[index] = true;
      scope->Set(name, value);
    } else if (name == "caller") {
      caller = value;
    } else if (syntax.takes_kwargs) {
      SetItem(runtime_, names.dict(), runtime_.String(name), value);
    } else {
      runtime_.Fail(fmt::format("macro '{}' has no argument '{}'", macro.name, name));
    }
  }
  if (syntax.takes_varargs) scope->Set("varargs", runtime_.Tuple(std::move(extra)));
  if (syntax.takes_kwargs) scope->Set("kwargs", names);
  // A block that is called sees the caller of the macro around it.
  if (!is_block) scope->Set("caller", caller);
  // A default may name the parameters before it.
  const size_t defaults = syntax.children.size() - macro.first_default;
  Scope* const outer = std::exchange(scope_, scope);
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (given[i]) continue;
    const bool has_default = i + defaults >= parameters.size();
    const size_t child = macro.first_default + i + defaults - parameters.size();
    scope->Set(parameters[i],
               has_default ? Evaluate(*syntax.children[child]) : runtime_.Undefined(parameters[i]));
  }
  scope_ = outer;
  return runtime_.String(Capture(syntax.bodies[0], scope));
}

Value Interpreter::CallGlobal(const std::string& name, const Arguments& arguments) {
  if (name == "range") return MakeRange(arguments);
  if (name == "dict") return MakeDict(arguments);
  if (name == "namespace") {
    auto* result = runtime_.Make<NamespaceObject>(sizeof(NamespaceObject));
    result->attributes = &MakeDict(arguments).dict();
    return Value(result);
  }
  if (name == "raise_exception") {
    const BoundArguments bound(runtime_, arguments, name, {"message"}, 1);
    std::string message = ToText(runtime_, bound[0]).bytes();
    if (message.size() > 1000) message.resize(1000);
    runtime_.Fail(message);
  }
  const BoundArguments bound(runtime_, arguments, name, {"format"}, 1);
  return runtime_.String(Text(TimeText(runtime_, bound.Str(0).bytes(), now_), true));
}

Value Interpreter::MakeDict(const Arguments& arguments) {
  const Value dict = runtime_.Dict();
  if (arguments.positional.size() > 1) runtime_.Fail("'dict' takes one mapping and names");
  for (const Value& source : arguments.positional) {
    if (source.IsDict()) {
      for (const auto& [key, value] : source.dict().entries) {
        SetItem(runtime_, dict.dict(), key, value);
      }
      continue;
    }
    for (const Value& pair : Iterate(runtime_, source)) {
      const std::vector<Value> parts = Iterate(runtime_, pair);
      if (parts.size() != 2) runtime_.Fail("'dict' is made of pairs");
      SetItem(runtime_, dict.dict(), parts[0], parts[1]);
    }
  }
  for (const auto& [name, value] : arguments.named) {
    SetItem(runtime_, dict.dict(), runtime_.String(name), value);
  }
  return dict;
}

Value Interpreter::MakeRange(const Arguments& arguments) {
  const BoundArguments bound(runtime_, arguments, "range", {"start", "stop", "step"}, 1);
  if (!arguments.named.empty()) runtime_.Fail("'range' takes no names");
  const int64_t begin = bound.Has(1) ? bound.Int(0, 0) : 0;
  const int64_t end = bound.Has(1) ? bound.Int(1, 0) : bound.Int(0, 0);
  const int64_t step = bound.Int(2, 1);
  if (step == 0) runtime_.Fail("the step of a range is 0");
  std::vector<Value> items;
  for (int64_t i = begin; step > 0 ? i < end : i > end;) {
    if (static_cast<int64_t>(items.size()) == runtime_.limits().range) {
      runtime_.Fail(fmt::format("a range has more than {} items", runtime_.limits().range),
                    kRenderHint);
    }
    items.push_back(Value::Int(i));
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  runtime_.Step(items.size());
  return runtime_.Sequence(SequenceObject::Form::kRange, std::move(items));
}

}  // namespace fathom::jinja
