#include <utility>

#include "base/error.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/operations.h"

namespace fathom::jinja {
namespace {

// Sets a variable for as long as this lives.
template <typename T>
class Restore {
 public:
  Restore(T& variable, T value) : variable_(variable), before_(std::exchange(variable, value)) {}
  ~Restore() { variable_ = before_; }
  Restore(const Restore&) = delete;
  Restore& operator=(const Restore&) = delete;

 private:
  T& variable_;
  T before_;
};

}  // namespace

Text Interpreter::Run(const std::vector<NodePtr>& body, const Data& variables) {
  scope_ = NewScope(nullptr);
  for (size_t i = 0; i < variables.keys.size(); ++i) {
    SetVariable(variables.keys[i], runtime_.FromData(variables.items[i]));
  }
  Text output;
  output_ = &output;
  Execute(body);
  return output;
}

void Interpreter::Print(const Text& text) {
  const size_t limit = runtime_.limits().output_bytes;
  if (output_->size() > limit || text.size() > limit - output_->size()) {
    runtime_.Fail(fmt::format("writes more than {} bytes", limit), kRenderHint);
  }
  runtime_.CheckSize(output_->size() + text.size());
  output_->Append(text);
}

Text Interpreter::Capture(const std::vector<NodePtr>& body, Scope* scope) {
  Text captured;
  const Restore<Text*> output(output_, &captured);
  const Restore<Scope*> inner(scope_, scope);
  Execute(body);
  return captured;
}

Scope* Interpreter::NewScope(Scope* parent) {
  auto* scope = runtime_.Make<Scope>(sizeof(Scope));
  scope->set_parent(parent);
  return scope;
}

void Interpreter::SetVariable(const std::string& name, const Value& value) {
  runtime_.Take(sizeof(Value) + name.size());
  scope_->Set(name, value);
}

Interpreter::Flow Interpreter::Execute(const std::vector<NodePtr>& body) {
  for (const NodePtr& node : body) {
    const Flow flow = Execute(*node);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::Execute(const Node& node) {
  const Runtime::Deeper deeper(runtime_);
  runtime_.set_line(node.line);
  runtime_.Step();
  switch (node.kind) {
    case Node::Kind::kText:
      runtime_.Scan(node.name.size());
      Print(Text(node.name, true));
      return Flow::kNext;
    case Node::Kind::kOutput:
      for (const NodePtr& child : node.children) Print(ToText(runtime_, Evaluate(*child)));
      return Flow::kNext;
    case Node::Kind::kIf:
      return ExecuteIf(node);
    case Node::Kind::kFor:
      return ExecuteFor(node);
    case Node::Kind::kSet:
      Assign(*node.children[0], Evaluate(*node.children[1]));
      return Flow::kNext;
    case Node::Kind::kSetBlock:
      ExecuteSetBlock(node);
      return Flow::kNext;
    case Node::Kind::kMacro:
      DefineMacro(node);
      return Flow::kNext;
    case Node::Kind::kCallBlock:
      ExecuteCallBlock(node);
      return Flow::kNext;
    case Node::Kind::kFilterBlock:
      ExecuteFilterBlock(node);
      return Flow::kNext;
    case Node::Kind::kWith:
      return ExecuteWith(node);
    case Node::Kind::kBreak:
      return Flow::kBreak;
    case Node::Kind::kContinue:
      return Flow::kContinue;
    default:
      FATHOM_CHECK(false, "an expression where a statement stands");
      return Flow::kNext;
  }
}

Interpreter::Flow Interpreter::ExecuteIf(const Node& node) {
  for (size_t i = 0; i < node.children.size(); ++i) {
    if (IsTrue(Evaluate(*node.children[i]))) return Execute(node.bodies[i]);
  }
  return node.bodies.size() > node.children.size() ? Execute(node.bodies.back()) : Flow::kNext;
}

Interpreter::Flow Interpreter::ExecuteFor(const Node& node) {
  std::vector<Value> items = Iterate(runtime_, Evaluate(*node.children[1]));
  Scope* scope = NewScope(scope_);
  if (node.children[2]) {
    std::vector<Value> kept;
    for (const Value& item : items) {
      const Restore<Scope*> inner(scope_, scope);
      Assign(*node.children[0], item);
      if (IsTrue(Evaluate(*node.children[2]))) kept.push_back(item);
    }
    items = std::move(kept);
  }
  if (items.empty()) {
    const Restore<Scope*> inner(scope_, scope);
    return Execute(node.bodies[1]);
  }
  auto* loop = runtime_.Make<LoopObject>(sizeof(LoopObject) + items.size() * sizeof(Value));
  loop->items = std::move(items);
  for (size_t i = 0; i < loop->items.size(); ++i) {
    runtime_.Step();
    loop->index0 = static_cast<int64_t>(i);
    // What one turn sets is gone in the next.
    if (scope->captured()) {
      scope = NewScope(scope_);
    } else {
      scope->Clear();
    }
    const Restore<Scope*> inner(scope_, scope);
    scope->Set("loop", Value(loop));
    Assign(*node.children[0], loop->items[i]);
    if (Execute(node.bodies[0]) == Flow::kBreak) break;
  }
  return Flow::kNext;
}

void Interpreter::ExecuteSetBlock(const Node& node) {
  Value value = runtime_.String(Capture(node.bodies[0], NewScope(scope_)));
  if (node.children[1]) {
    const Restore<const Value*> piped(piped_, &value);
    value = Evaluate(*node.children[1]);
  }
  Assign(*node.children[0], value);
}

void Interpreter::ExecuteFilterBlock(const Node& node) {
  const Value value = runtime_.String(Capture(node.bodies[0], NewScope(scope_)));
  const Restore<const Value*> piped(piped_, &value);
  Print(ToText(runtime_, Evaluate(*node.children[0])));
}

void Interpreter::ExecuteCallBlock(const Node& node) {
  auto* caller = runtime_.Make<FunctionObject>(sizeof(FunctionObject));
  caller->form = FunctionObject::Form::kMacro;
  caller->name = "caller";
  caller->syntax = &node;
  caller->scope = scope_;
  caller->first_default = 1;
  scope_->Capture();
  const Value block(caller);
  Print(ToText(runtime_, EvaluateCall(*node.children[0], &block)));
}

Interpreter::Flow Interpreter::ExecuteWith(const Node& node) {
  Scope* const scope = NewScope(scope_);
  std::vector<Value> values;
  for (size_t i = 1; i < node.children.size(); i += 2)
    values.push_back(Evaluate(*node.children[i]));
  const Restore<Scope*> inner(scope_, scope);
  for (size_t i = 0; i < values.size(); ++i) Assign(*node.children[2 * i], values[i]);
  return Execute(node.bodies[0]);
}

void Interpreter::DefineMacro(const Node& node) {
  auto* macro = runtime_.Make<FunctionObject>(sizeof(FunctionObject));
  macro->form = FunctionObject::Form::kMacro;
  macro->name = node.name;
  macro->syntax = &node;
  macro->scope = scope_;
  scope_->Capture();
  SetVariable(node.name, Value(macro));
}

void Interpreter::Assign(const Node& target, const Value& value) {
  if (target.kind == Node::Kind::kName) {
    SetVariable(target.name, value);
    return;
  }
  if (target.kind == Node::Kind::kNamespaceItem) {
    const Value* found = scope_->Find(target.name);
    if (found == nullptr || found->kind() != Value::Kind::kNamespace) {
      runtime_.Fail(fmt::format("'{}' is not a namespace, so '{}' cannot be set", target.name,
                                target.attribute));
    }
    DictObject& attributes = *found->name_space().attributes;
    SetItem(runtime_, attributes, runtime_.String(target.attribute), value);
    return;
  }
  if (!IsIterable(value)) {
    runtime_.Fail(fmt::format("'{}' cannot be taken apart", TypeName(value)));
  }
  const std::vector<Value> parts = Iterate(runtime_, value);
  if (parts.size() != target.children.size()) {
    runtime_.Fail(fmt::format("{} values for {} names", parts.size(), target.children.size()));
  }
  for (size_t i = 0; i < parts.size(); ++i) Assign(*target.children[i], parts[i]);
}

}  // namespace fathom::jinja
