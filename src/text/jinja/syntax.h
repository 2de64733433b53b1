#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/limits.h"

namespace fathom::jinja {

struct Node;
using NodePtr = std::unique_ptr<Node>;

// The arguments of a call, a filter or a test.
struct CallSyntax {
  std::vector<NodePtr> positional;
  std::vector<std::pair<std::string, NodePtr>> named;
  NodePtr star, double_star;  // *list, **mapping; null when absent
};

// A node of the syntax tree. Which fields mean what stands beside each kind; the others are empty.
struct Node {
  enum class Kind {
    // Expressions.
    kNone,
    kBool,       // integer
    kInt,        // integer
    kFloat,      // number
    kString,     // name: the text
    kName,       // name
    kTuple,      // children
    kList,       // children
    kDict,       // children: key, value, key, ...
    kAttribute,  // child 0 . name
    kItem,       // child 0 [child 1]
    kSlice,      // children: begin, end, step; each may be null
    kCall,       // child 0 (arguments)
    kFilter,     // child 0 | name(arguments); child 0 is null where a block is filtered
    kTest,       // child 0 is name(arguments)
    kNot,
    kNegative,
    kPositive,
    kBinary,       // name: the operator; children left, right
    kConcatenate,  // children ~ ...
    kCompare,      // child 0, then for each of operators its right side
    kAnd,
    kOr,
    kConditional,  // children: test, value, otherwise (null when absent)
    // Targets of assignments, besides kName and kTuple.
    kNamespaceItem,  // name . attribute
    // Statements.
    kText,         // name: template text
    kOutput,       // children, printed one after the other
    kIf,           // children: tests; bodies: one a test, one more with an else
    kFor,          // children: target, iterable, condition (or null); bodies: loop, else
    kSet,          // children: target, value
    kSetBlock,     // children: target, filter (or null); bodies: 1
    kMacro,        // name, parameters; children: defaults of the last ones; bodies: 1
    kCallBlock,    // child 0: the call, then defaults; parameters; bodies: 1
    kFilterBlock,  // child 0: the filters; bodies: 1
    kWith,         // children: target, value, target, ...; bodies: 1
    kBreak,
    kContinue,
  };

  Kind kind;
  int line = 0;
  int height = 1;  // of the tree below, this node included
  int64_t integer = 0;
  double number = 0;
  std::string name;
  std::string attribute;
  std::vector<NodePtr> children;
  std::vector<std::string> operators;
  std::vector<std::string> parameters;
  bool takes_varargs = false, takes_kwargs = false;  // of kMacro: its body names them
  CallSyntax arguments;
  std::vector<std::vector<NodePtr>> bodies;
};

// The statements of a template. source is well-formed UTF-8. Throws Error with `where` and the line
// for what is not Jinja, what Jinja has but templates of models do not (include, extends, block),
// and what exceeds the limits.
std::vector<NodePtr> Parse(std::string_view source, std::string_view where, const Limits& limits);

}  // namespace fathom::jinja
