#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "text/jinja/arguments.h"
#include "text/jinja/runtime.h"
#include "text/jinja/scope.h"
#include "text/jinja/syntax.h"

namespace fathom::jinja {

// Walks over the syntax tree of a template, once.
class Interpreter {
 public:
  Interpreter(Runtime& runtime, std::optional<int64_t> now) : runtime_(runtime), now_(now) {}

  Text Run(const std::vector<NodePtr>& body, const Data& variables);

 private:
  enum class Flow { kNext, kBreak, kContinue };

  // Statements (statements.cc).
  Flow Execute(const std::vector<NodePtr>& body);
  Flow Execute(const Node& node);
  Flow ExecuteIf(const Node& node);
  Flow ExecuteFor(const Node& node);
  void ExecuteSetBlock(const Node& node);
  void ExecuteCallBlock(const Node& node);
  void ExecuteFilterBlock(const Node& node);
  Flow ExecuteWith(const Node& node);
  void DefineMacro(const Node& node);
  void Assign(const Node& target, const Value& value);
  void Print(const Text& text);
  // What a body prints, in a scope of its own.
  Text Capture(const std::vector<NodePtr>& body, Scope* scope);
  Scope* NewScope(Scope* parent);
  void SetVariable(const std::string& name, const Value& value);

  // Expressions (expressions.cc).
  Value Evaluate(const Node& node);
  Value EvaluateName(const Node& node);
  Value EvaluateItem(const Node& node);
  Value EvaluateDict(const Node& node);
  Value EvaluateConcatenation(const Node& node);
  Value EvaluateComparison(const Node& node);
  Value EvaluateFilter(const Node& node);
  Value EvaluateCall(const Node& node, const Value* caller = nullptr);
  std::vector<Value> EvaluateAll(const std::vector<NodePtr>& nodes);
  Arguments EvaluateArguments(const CallSyntax& syntax);

  // Calls (calls.cc).
  Value Call(const Value& callee, const Arguments& arguments);
  Value CallMacro(const FunctionObject& macro, const Arguments& arguments);
  Value CallGlobal(const std::string& name, const Arguments& arguments);
  Value MakeDict(const Arguments& arguments);
  Value MakeRange(const Arguments& arguments);
  Value Global(const std::string& name);

  Runtime& runtime_;
  std::optional<int64_t> now_;
  Scope* scope_ = nullptr;
  Text* output_ = nullptr;
  const Value* piped_ = nullptr;  // what the filters of a block begin with
  std::unordered_map<const Node*, Value> literals_;
};

}  // namespace fathom::jinja
