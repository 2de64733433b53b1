#include "base/error.h"
#include "text/jinja/filters.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/methods.h"
#include "text/jinja/operations.h"

namespace fathom::jinja {

Value Interpreter::Evaluate(const Node& node) {
  const Runtime::Deeper deeper(runtime_);
  runtime_.Step();
  runtime_.set_line(node.line);
  const auto child = [&](size_t i) { return Evaluate(*node.children[i]); };
  switch (node.kind) {
    case Node::Kind::kNone:
      return Value::None();
    case Node::Kind::kBool:
      return Value::Bool(node.integer != 0);
    case Node::Kind::kInt:
      return Value::Int(node.integer);
    case Node::Kind::kFloat:
      return Value::Float(node.number);
    case Node::Kind::kString: {
      const auto [place, is_new] = literals_.try_emplace(&node);
      if (is_new) place->second = runtime_.String(node.name);
      return place->second;
    }
    case Node::Kind::kName:
      return EvaluateName(node);
    case Node::Kind::kTuple:
      return runtime_.Tuple(EvaluateAll(node.children));
    case Node::Kind::kList:
      return runtime_.List(EvaluateAll(node.children));
    case Node::Kind::kDict:
      return EvaluateDict(node);
    case Node::Kind::kAttribute:
      return GetAttribute(runtime_, child(0), node.name);
    case Node::Kind::kItem:
      return EvaluateItem(node);
    case Node::Kind::kCall:
      return EvaluateCall(node);
    case Node::Kind::kFilter:
      return EvaluateFilter(node);
    case Node::Kind::kTest: {
      const Value value = child(0);
      return Value::Bool(ApplyTest(runtime_, node.name, value, EvaluateArguments(node.arguments)));
    }
    case Node::Kind::kNot:
      return Value::Bool(!IsTrue(child(0)));
    case Node::Kind::kNegative:
      return Negative(runtime_, child(0));
    case Node::Kind::kPositive:
      return Negative(runtime_, Negative(runtime_, child(0)));
    case Node::Kind::kBinary: {
      const Value left = child(0);
      return Binary(runtime_, node.name, left, child(1));
    }
    case Node::Kind::kConcatenate:
      return EvaluateConcatenation(node);
    case Node::Kind::kCompare:
      return EvaluateComparison(node);
    case Node::Kind::kAnd: {
      const Value left = child(0);
      return IsTrue(left) ? child(1) : left;
    }
    case Node::Kind::kOr: {
      const Value left = child(0);
      return IsTrue(left) ? left : child(1);
    }
    case Node::Kind::kConditional:
      if (IsTrue(child(0))) return child(1);
      return node.children[2] ? child(2) : runtime_.Undefined("a condition without 'else'");
    default:
      FATHOM_CHECK(false, "a statement where an expression stands");
      return {};
  }
}

Value Interpreter::EvaluateName(const Node& node) {
  if (const Value* value = scope_->Find(node.name)) return *value;
  return Global(node.name);
}

Value Interpreter::EvaluateItem(const Node& node) {
  const Value object = Evaluate(*node.children[0]);
  const Node& key = *node.children[1];
  if (key.kind != Node::Kind::kSlice) return GetItem(runtime_, object, Evaluate(key));
  const auto bound = [&](size_t i) {
    return key.children[i] ? Evaluate(*key.children[i]) : Value::None();
  };
  const Value begin = bound(0), end = bound(1);
  return GetSlice(runtime_, object, begin, end, bound(2));
}

Value Interpreter::EvaluateDict(const Node& node) {
  const Value dict = runtime_.Dict();
  for (size_t i = 0; i < node.children.size(); i += 2) {
    const Value key = Evaluate(*node.children[i]);
    SetItem(runtime_, dict.dict(), key, Evaluate(*node.children[i + 1]));
  }
  return dict;
}

Value Interpreter::EvaluateConcatenation(const Node& node) {
  Text out;
  for (const NodePtr& child : node.children) {
    out.Append(ToText(runtime_, Evaluate(*child)));
    runtime_.CheckSize(out.size());
  }
  return runtime_.String(std::move(out));
}

Value Interpreter::EvaluateComparison(const Node& node) {
  Value left = Evaluate(*node.children[0]);
  for (size_t i = 0; i < node.operators.size(); ++i) {
    const std::string& operation = node.operators[i];
    const Value right = Evaluate(*node.children[i + 1]);
    bool holds;
    if (operation == "==") {
      holds = Equal(runtime_, left, right);
    } else if (operation == "!=") {
      holds = !Equal(runtime_, left, right);
    } else if (operation == "in") {
      holds = Contains(runtime_, right, left);
    } else if (operation == "not in") {
      holds = !Contains(runtime_, right, left);
    } else if (operation == "<") {
      holds = Less(runtime_, left, right);
    } else if (operation == ">") {
      holds = Less(runtime_, right, left);
    } else if (operation == "<=") {
      holds = Less(runtime_, left, right) || Equal(runtime_, left, right);
    } else {
      holds = Less(runtime_, right, left) || Equal(runtime_, left, right);
    }
    if (!holds) return Value::Bool(false);
    left = right;
  }
  return Value::Bool(true);
}

Value Interpreter::EvaluateFilter(const Node& node) {
  const Value value = node.children[0] ? Evaluate(*node.children[0]) : *piped_;
  return ApplyFilter(runtime_, node.name, value, EvaluateArguments(node.arguments));
}

Value Interpreter::EvaluateCall(const Node& node, const Value* caller) {
  const Node& callee = *node.children[0];
  if (callee.kind == Node::Kind::kAttribute) {
    // A method, without making a value of it first.
    const Value object = Evaluate(*callee.children[0]);
    Arguments arguments = EvaluateArguments(node.arguments);
    runtime_.set_line(node.line);
    if (caller == nullptr && HasMethod(object, callee.name)) {
      return CallMethod(runtime_, object, callee.name, arguments);
    }
    if (caller != nullptr) arguments.named.emplace_back("caller", *caller);
    return Call(GetAttribute(runtime_, object, callee.name), arguments);
  }
  const Value function = Evaluate(callee);
  Arguments arguments = EvaluateArguments(node.arguments);
  if (caller != nullptr) arguments.named.emplace_back("caller", *caller);
  runtime_.set_line(node.line);
  return Call(function, arguments);
}

std::vector<Value> Interpreter::EvaluateAll(const std::vector<NodePtr>& nodes) {
  std::vector<Value> values;
  values.reserve(nodes.size());
  for (const NodePtr& node : nodes) values.push_back(Evaluate(*node));
  return values;
}

Arguments Interpreter::EvaluateArguments(const CallSyntax& syntax) {
  Arguments arguments;
  arguments.positional = EvaluateAll(syntax.positional);
  if (syntax.star) {
    for (const Value& value : Iterate(runtime_, Evaluate(*syntax.star))) {
      arguments.positional.push_back(value);
    }
  }
  for (const auto& [name, value] : syntax.named)
    arguments.named.emplace_back(name, Evaluate(*value));
  if (syntax.double_star) {
    const Value names = Evaluate(*syntax.double_star);
    if (!names.IsDict()) runtime_.Fail("what follows ** is a mapping");
    if (names.dict().entries.size() > 255) runtime_.Fail("too many arguments");
    for (const auto& [name, value] : names.dict().entries) {
      if (!name.IsString()) runtime_.Fail("the keys of what follows ** are strings");
      arguments.named.emplace_back(name.bytes(), value);
    }
  }
  return arguments;
}

}  // namespace fathom::jinja
