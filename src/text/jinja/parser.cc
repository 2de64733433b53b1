#include <algorithm>
#include <charconv>
#include <initializer_list>

#include "base/error.h"
#include "text/jinja/lexer.h"
#include "text/jinja/syntax.h"

namespace fathom::jinja {
namespace {

using Kind = Node::Kind;

// Of a macro or a call; each new name is compared with those before it.
constexpr size_t kMaxNames = 255;

// Recursive descent, one function a level of precedence, in the order of Jinja's grammar.
class Parser {
 public:
  Parser(std::vector<Token> tokens, std::string_view where, const Limits& limits)
      : tokens_(std::move(tokens)), where_(where), limits_(limits) {}

  std::vector<NodePtr> Run() { return Statements({}); }

 private:
  // Bounds the recursion of the parser itself.
  struct Deeper {
    explicit Deeper(Parser& parser) : parser_(parser) {
      if (++parser_.depth_ > parser_.limits_.nesting) parser_.FailNesting();
    }
    ~Deeper() { --parser_.depth_; }
    Parser& parser_;
  };

  [[noreturn]] void Fail(std::string_view what, std::string_view hint = {}) const {
    throw Error(fmt::format("{}, line {}", where_, current().line), what, hint);
  }
  [[noreturn]] void FailNesting() const {
    Fail(fmt::format("is nested more than {} deep", limits_.nesting), kTemplateHint);
  }

  // ---- tokens ----

  const Token& current() const { return tokens_[position_]; }
  const Token& next() const { return tokens_[std::min(position_ + 1, tokens_.size() - 1)]; }
  const Token& Take() {
    const Token& token = tokens_[position_];
    if (token.kind != Token::Kind::kEnd) ++position_;
    return token;
  }
  bool IsOperator(std::string_view text) const {
    return current().kind == Token::Kind::kOperator && current().text == text;
  }
  bool IsName(std::string_view text) const {
    return current().kind == Token::Kind::kName && current().text == text;
  }
  bool TakeOperator(std::string_view text) {
    const bool is = IsOperator(text);
    if (is) Take();
    return is;
  }
  bool TakeName(std::string_view text) {
    const bool is = IsName(text);
    if (is) Take();
    return is;
  }
  std::string Describe() const {
    switch (current().kind) {
      case Token::Kind::kEnd:
        return "the end of the template";
      case Token::Kind::kBlockEnd:
      case Token::Kind::kVariableEnd:
        return "the end of the tag";
      default:
        return fmt::format("'{}'", current().text.substr(0, 40));
    }
  }
  void ExpectOperator(std::string_view text) {
    if (!TakeOperator(text)) Fail(fmt::format("expected '{}', found {}", text, Describe()));
  }
  void ExpectName(std::string_view text) {
    if (!TakeName(text)) Fail(fmt::format("expected '{}', found {}", text, Describe()));
  }
  std::string ExpectAnyName() {
    if (current().kind != Token::Kind::kName) {
      Fail(fmt::format("expected a name, found {}", Describe()));
    }
    return Take().text;
  }
  void Expect(Token::Kind kind) {
    if (current().kind != kind) {
      Fail(fmt::format("expected the end of the tag, found {}", Describe()));
    }
    Take();
  }

  // ---- nodes ----

  NodePtr Make(Kind kind, int line) const {
    auto node = std::make_unique<Node>();
    node->kind = kind;
    node->line = line;
    return node;
  }
  // Puts a child below a node; null is a child that is absent.
  void Add(Node& node, NodePtr child) const {
    Raise(node, child.get());
    node.children.push_back(std::move(child));
  }
  void Raise(Node& node, const Node* child) const {
    if (child != nullptr) node.height = std::max(node.height, child->height + 1);
    if (node.height > limits_.nesting) FailNesting();
  }
  template <typename... Children>
  NodePtr Make(Kind kind, int line, Children... children) const {
    NodePtr node = Make(kind, line);
    (Add(*node, std::move(children)), ...);
    return node;
  }
  void AddBody(Node& node, std::vector<NodePtr> body) const {
    for (const NodePtr& statement : body) Raise(node, statement.get());
    node.bodies.push_back(std::move(body));
  }
  void SetArguments(Node& node, CallSyntax arguments) const {
    for (const NodePtr& value : arguments.positional) Raise(node, value.get());
    for (const auto& [name, value] : arguments.named) Raise(node, value.get());
    Raise(node, arguments.star.get());
    Raise(node, arguments.double_star.get());
    node.arguments = std::move(arguments);
  }

  // ---- statements ----

  // Up to a tag whose name is one of `ends` (that name is the current token then), or, when there
  // are none, to the end.
  std::vector<NodePtr> Statements(std::initializer_list<std::string_view> ends) {
    const Deeper deeper(*this);
    std::vector<NodePtr> body;
    for (;;) {
      const int line = current().line;
      switch (current().kind) {
        case Token::Kind::kData:
          body.push_back(Make(Kind::kText, line));
          body.back()->name = Take().text;
          break;
        case Token::Kind::kVariableBegin:
          Take();
          body.push_back(Make(Kind::kOutput, line, TupleOrExpression()));
          Expect(Token::Kind::kVariableEnd);
          break;
        case Token::Kind::kBlockBegin:
          Take();
          if (current().kind == Token::Kind::kName &&
              std::find(ends.begin(), ends.end(), current().text) != ends.end()) {
            return body;
          }
          body.push_back(Statement());
          Expect(Token::Kind::kBlockEnd);
          break;
        default:
          if (ends.size() > 0) {
            Fail(fmt::format("the template ends where '{}' is missing",
                             fmt::join(ends.begin(), ends.end(), "' or '")));
          }
          return body;
      }
    }
  }

  // The body of a tag: from the tag's end to one of the end tags.
  std::vector<NodePtr> Body(std::initializer_list<std::string_view> ends) {
    TakeOperator(":");
    Expect(Token::Kind::kBlockEnd);
    return Statements(ends);
  }
  std::vector<NodePtr> BodyToEnd(std::string_view end) {
    std::vector<NodePtr> body = Body({end});
    Take();
    return body;
  }

  NodePtr Statement() {
    const int line = current().line;
    const std::string tag = ExpectAnyName();
    if (tag == "if") return If(line);
    if (tag == "for") return For(line);
    if (tag == "set") return Set(line);
    if (tag == "macro") return Macro(line);
    if (tag == "call") return CallBlock(line);
    if (tag == "filter") {
      NodePtr node = Make(Kind::kFilterBlock, line, Filters(nullptr, /*inline_start=*/true));
      AddBody(*node, BodyToEnd("endfilter"));
      return node;
    }
    if (tag == "with") return With(line);
    // What an assistant wrote, marked for training by transformers; a scope of its own.
    if (tag == "generation") {
      NodePtr node = Make(Kind::kWith, line);
      AddBody(*node, BodyToEnd("endgeneration"));
      return node;
    }
    if (tag == "print") {
      NodePtr node = Make(Kind::kOutput, line);
      do Add(*node, Expression());
      while (TakeOperator(","));
      return node;
    }
    if (tag == "break" || tag == "continue") {
      if (loops_ == 0) Fail(fmt::format("'{}' outside of a loop", tag));
      return Make(tag == "break" ? Kind::kBreak : Kind::kContinue, line);
    }
    for (const std::string_view other :
         {"include", "import", "from", "extends", "block", "autoescape", "do", "trans"}) {
      if (tag == other) Fail(fmt::format("'{}' is not available in templates of models", tag));
    }
    Fail(fmt::format("unknown tag '{}'", tag));
  }

  NodePtr If(int line) {
    NodePtr node = Make(Kind::kIf, line);
    for (;;) {
      Add(*node, TupleOrExpression(/*with_conditional=*/false));
      AddBody(*node, Body({"elif", "else", "endif"}));
      const std::string end = Take().text;
      if (end == "elif") continue;
      if (end == "else") AddBody(*node, BodyToEnd("endif"));
      return node;
    }
  }

  NodePtr For(int line) {
    NodePtr target = Target("in");
    ExpectName("in");
    NodePtr iterable = TupleOrExpression(/*with_conditional=*/false, "recursive");
    NodePtr condition = TakeName("if") ? Expression() : nullptr;
    if (IsName("recursive")) Fail("recursive loops are not available");
    NodePtr node =
        Make(Kind::kFor, line, std::move(target), std::move(iterable), std::move(condition));
    ++loops_;
    AddBody(*node, Body({"endfor", "else"}));
    --loops_;
    AddBody(*node, Take().text == "else" ? BodyToEnd("endfor") : std::vector<NodePtr>());
    return node;
  }

  NodePtr Set(int line) {
    NodePtr target = Target({}, /*with_namespace=*/true);
    if (TakeOperator("=")) {
      return Make(Kind::kSet, line, std::move(target), TupleOrExpression());
    }
    NodePtr filter = IsOperator("|") ? Filters(nullptr) : nullptr;
    NodePtr node = Make(Kind::kSetBlock, line, std::move(target), std::move(filter));
    AddBody(*node, BodyToEnd("endset"));
    return node;
  }

  NodePtr Macro(int line) {
    NodePtr node = Make(Kind::kMacro, line);
    node->name = ExpectAnyName();
    Signature(*node);
    const int loops = std::exchange(loops_, 0);
    Node* const outer = std::exchange(macro_, node.get());
    AddBody(*node, BodyToEnd("endmacro"));
    macro_ = outer;
    loops_ = loops;
    return node;
  }

  NodePtr CallBlock(int line) {
    NodePtr node = Make(Kind::kCallBlock, line);
    Node signature;
    if (IsOperator("(")) Signature(signature);
    NodePtr call = Expression();
    if (call->kind != Kind::kCall) Fail("'call' needs the call of a macro");
    Add(*node, std::move(call));
    for (NodePtr& fallback : signature.children) Add(*node, std::move(fallback));
    node->parameters = std::move(signature.parameters);
    const int loops = std::exchange(loops_, 0);
    AddBody(*node, BodyToEnd("endcall"));
    loops_ = loops;
    return node;
  }

  // (a, b=1): the names go to parameters, the defaults become children.
  void Signature(Node& node) {
    ExpectOperator("(");
    bool has_default = false;
    while (!IsOperator(")")) {
      if (!node.parameters.empty()) ExpectOperator(",");
      const std::string name = ExpectAnyName();
      if (std::find(node.parameters.begin(), node.parameters.end(), name) !=
          node.parameters.end()) {
        Fail(fmt::format("parameter '{}' occurs twice", name));
      }
      if (node.parameters.size() == kMaxNames) Fail("too many parameters");
      node.parameters.push_back(name);
      if (TakeOperator("=")) {
        Add(node, Expression());
        has_default = true;
      } else if (has_default) {
        Fail("a parameter without a default follows one that has one");
      }
    }
    ExpectOperator(")");
  }

  NodePtr With(int line) {
    NodePtr node = Make(Kind::kWith, line);
    while (current().kind != Token::Kind::kBlockEnd) {
      if (!node->children.empty()) ExpectOperator(",");
      Add(*node, Target({}));
      ExpectOperator("=");
      Add(*node, Expression());
    }
    AddBody(*node, BodyToEnd("endwith"));
    return node;
  }

  // What can be assigned to: names, tuples of them, and namespace items where they are allowed.
  NodePtr Target(std::string_view end, bool with_namespace = false) {
    const Deeper deeper(*this);
    const int line = current().line;
    std::vector<NodePtr> targets;
    bool is_tuple = false;
    for (;;) {
      if (!targets.empty() &&
          (IsOperator(")") || IsOperator("=") || (!end.empty() && IsName(end)))) {
        break;
      }
      if (TakeOperator("(")) {
        targets.push_back(Target({}, with_namespace));
        ExpectOperator(")");
      } else {
        NodePtr target = Make(Kind::kName, current().line);
        target->name = ExpectAnyName();
        for (const std::string_view constant : {"true", "false", "none", "True", "False", "None"}) {
          if (target->name == constant) Fail(fmt::format("'{}' cannot be assigned to", constant));
        }
        if (with_namespace && TakeOperator(".")) {
          target->kind = Kind::kNamespaceItem;
          target->attribute = ExpectAnyName();
        }
        targets.push_back(std::move(target));
      }
      if (!TakeOperator(",")) break;
      is_tuple = true;
    }
    if (!is_tuple) return std::move(targets.front());
    NodePtr tuple = Make(Kind::kTuple, line);
    for (NodePtr& target : targets) Add(*tuple, std::move(target));
    return tuple;
  }

  // ---- expressions ----

  // One expression, or several with commas: a tuple. end: a name that ends it.
  NodePtr TupleOrExpression(bool with_conditional = true, std::string_view end = {},
                            bool in_parentheses = false) {
    const int line = current().line;
    std::vector<NodePtr> items;
    bool is_tuple = false;
    for (;;) {
      if (!items.empty()) ExpectOperator(",");
      if (current().kind == Token::Kind::kVariableEnd || current().kind == Token::Kind::kBlockEnd ||
          IsOperator(")") || (!end.empty() && IsName(end))) {
        break;
      }
      items.push_back(with_conditional ? Expression() : Or());
      if (!IsOperator(",")) break;
      is_tuple = true;
    }
    if (!is_tuple) {
      if (!items.empty()) return std::move(items.front());
      if (!in_parentheses) Fail(fmt::format("expected an expression, found {}", Describe()));
    }
    NodePtr tuple = Make(Kind::kTuple, line);
    for (NodePtr& item : items) Add(*tuple, std::move(item));
    return tuple;
  }

  NodePtr Expression() {
    const Deeper deeper(*this);
    const int line = current().line;
    NodePtr value = Or();
    while (TakeName("if")) {
      NodePtr test = Or();
      NodePtr otherwise = TakeName("else") ? Expression() : nullptr;
      value =
          Make(Kind::kConditional, line, std::move(test), std::move(value), std::move(otherwise));
    }
    return value;
  }

  NodePtr Or() {
    NodePtr left = And();
    for (int line = current().line; TakeName("or"); line = current().line) {
      left = Make(Kind::kOr, line, std::move(left), And());
    }
    return left;
  }

  NodePtr And() {
    NodePtr left = Not();
    for (int line = current().line; TakeName("and"); line = current().line) {
      left = Make(Kind::kAnd, line, std::move(left), Not());
    }
    return left;
  }

  NodePtr Not() {
    const Deeper deeper(*this);
    const int line = current().line;
    if (TakeName("not")) return Make(Kind::kNot, line, Not());
    return Compare();
  }

  NodePtr Compare() {
    const int line = current().line;
    NodePtr first = Sum();
    NodePtr node;
    for (;;) {
      std::string operation;
      if (current().kind == Token::Kind::kOperator) {
        for (const std::string_view known : {"==", "!=", "<", "<=", ">", ">="}) {
          if (current().text == known) operation = known;
        }
        if (!operation.empty()) Take();
      } else if (TakeName("in")) {
        operation = "in";
      } else if (IsName("not") && next().kind == Token::Kind::kName && next().text == "in") {
        Take();
        Take();
        operation = "not in";
      }
      if (operation.empty()) return node ? std::move(node) : std::move(first);
      if (!node) node = Make(Kind::kCompare, line, std::move(first));
      node->operators.push_back(std::move(operation));
      Add(*node, Sum());
    }
  }

  // A row of operators of one level, grouped from the left.
  template <typename Operand>
  NodePtr Row(std::initializer_list<std::string_view> operators, Operand operand) {
    NodePtr left = operand();
    for (;;) {
      const int line = current().line;
      if (current().kind != Token::Kind::kOperator ||
          std::find(operators.begin(), operators.end(), current().text) == operators.end()) {
        return left;
      }
      const std::string operation = Take().text;
      left = Make(Kind::kBinary, line, std::move(left), operand());
      left->name = operation;
    }
  }

  NodePtr Sum() {
    return Row({"+", "-"}, [this] { return Concatenation(); });
  }

  NodePtr Concatenation() {
    const int line = current().line;
    NodePtr first = Product();
    if (!IsOperator("~")) return first;
    NodePtr node = Make(Kind::kConcatenate, line, std::move(first));
    while (TakeOperator("~")) Add(*node, Product());
    return node;
  }

  NodePtr Product() {
    return Row({"*", "/", "//", "%"},
               [this] { return Row({"**"}, [this] { return Unary(/*with_filters=*/true); }); });
  }

  NodePtr Unary(bool with_filters) {
    const Deeper deeper(*this);
    const int line = current().line;
    NodePtr node;
    if (TakeOperator("-")) {
      node = Make(Kind::kNegative, line, Unary(false));
    } else if (TakeOperator("+")) {
      node = Make(Kind::kPositive, line, Unary(false));
    } else {
      node = Primary();
    }
    node = Postfix(std::move(node));
    while (with_filters) {
      if (IsOperator("|")) {
        node = Filters(std::move(node));
      } else if (IsName("is")) {
        node = Test(std::move(node));
      } else if (IsOperator("(")) {
        node = Call(std::move(node));
      } else {
        break;
      }
    }
    return node;
  }

  NodePtr Primary() {
    const int line = current().line;
    switch (current().kind) {
      case Token::Kind::kName:
        return Name(Take().text, line);
      case Token::Kind::kString: {
        NodePtr node = Make(Kind::kString, line);
        while (current().kind == Token::Kind::kString) node->name += Take().text;
        return node;
      }
      case Token::Kind::kInteger: {
        NodePtr node = Make(Kind::kInt, line);
        node->integer = Integer();
        return node;
      }
      case Token::Kind::kFloat: {
        NodePtr node = Make(Kind::kFloat, line);
        const std::string& text = current().text;
        std::from_chars(text.data(), text.data() + text.size(), node->number);
        Take();
        return node;
      }
      default:
        break;
    }
    if (TakeOperator("(")) {
      NodePtr node = TupleOrExpression(true, {}, /*in_parentheses=*/true);
      ExpectOperator(")");
      return node;
    }
    if (TakeOperator("[")) {
      NodePtr node = Make(Kind::kList, line);
      while (!IsOperator("]")) {
        if (!node->children.empty()) ExpectOperator(",");
        if (IsOperator("]")) break;
        Add(*node, Expression());
      }
      Take();
      return node;
    }
    if (TakeOperator("{")) {
      NodePtr node = Make(Kind::kDict, line);
      while (!IsOperator("}")) {
        if (!node->children.empty()) ExpectOperator(",");
        if (IsOperator("}")) break;
        Add(*node, Expression());
        ExpectOperator(":");
        Add(*node, Expression());
      }
      Take();
      return node;
    }
    Fail(fmt::format("expected an expression, found {}", Describe()));
  }

  NodePtr Name(const std::string& name, int line) {
    if (name == "none" || name == "None") return Make(Kind::kNone, line);
    if (name == "true" || name == "True" || name == "false" || name == "False") {
      NodePtr node = Make(Kind::kBool, line);
      node->integer = name == "true" || name == "True";
      return node;
    }
    if (macro_ != nullptr) {
      macro_->takes_varargs |= name == "varargs";
      macro_->takes_kwargs |= name == "kwargs";
    }
    NodePtr node = Make(Kind::kName, line);
    node->name = name;
    return node;
  }

  int64_t Integer() {
    const std::string& text = current().text;
    int64_t value = 0;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
    if (result.ec != std::errc()) Fail(fmt::format("integer {} is beyond 64 bits", text));
    Take();
    return value;
  }

  NodePtr Postfix(NodePtr node) {
    for (;;) {
      const int line = current().line;
      if (TakeOperator(".")) {
        if (current().kind == Token::Kind::kInteger) {
          NodePtr index = Make(Kind::kInt, line);
          index->integer = Integer();
          node = Make(Kind::kItem, line, std::move(node), std::move(index));
        } else {
          node = Make(Kind::kAttribute, line, std::move(node));
          node->name = ExpectAnyName();
        }
      } else if (TakeOperator("[")) {
        NodePtr index = Subscript();
        if (IsOperator(",")) {
          NodePtr tuple = Make(Kind::kTuple, line, std::move(index));
          while (TakeOperator(",")) Add(*tuple, Subscript());
          for (const NodePtr& key : tuple->children) {
            if (key->kind == Kind::kSlice) Fail("a slice beside other keys selects nothing");
          }
          index = std::move(tuple);
        }
        ExpectOperator("]");
        node = Make(Kind::kItem, line, std::move(node), std::move(index));
      } else if (IsOperator("(")) {
        node = Call(std::move(node));
      } else {
        return node;
      }
    }
  }

  NodePtr Subscript() {
    const int line = current().line;
    const auto ends = [this] { return IsOperator(":") || IsOperator("]") || IsOperator(","); };
    NodePtr begin = IsOperator(":") ? nullptr : Expression();
    if (!TakeOperator(":")) return begin;
    NodePtr end = ends() ? nullptr : Expression();
    NodePtr step;
    if (TakeOperator(":") && !ends()) step = Expression();
    return Make(Kind::kSlice, line, std::move(begin), std::move(end), std::move(step));
  }

  NodePtr Call(NodePtr callee) {
    NodePtr node = Make(Kind::kCall, current().line, std::move(callee));
    SetArguments(*node, Arguments());
    return node;
  }

  CallSyntax Arguments() {
    CallSyntax arguments;
    ExpectOperator("(");
    bool first = true;
    while (!IsOperator(")")) {
      if (!std::exchange(first, false)) {
        ExpectOperator(",");
        if (IsOperator(")")) break;
      }
      const bool positional_over = !arguments.named.empty() || arguments.double_star;
      if (!arguments.star && !arguments.double_star && TakeOperator("*")) {
        arguments.star = Expression();
      } else if (!arguments.double_star && TakeOperator("**")) {
        arguments.double_star = Expression();
      } else if (current().kind == Token::Kind::kName && next().kind == Token::Kind::kOperator &&
                 next().text == "=") {
        if (arguments.double_star) Fail("an argument follows **");
        std::string name = Take().text;
        Take();
        for (const auto& named : arguments.named) {
          if (named.first == name) Fail(fmt::format("argument '{}' occurs twice", name));
        }
        if (arguments.named.size() == kMaxNames) Fail("too many arguments");
        arguments.named.emplace_back(std::move(name), Expression());
      } else {
        if (positional_over || arguments.star) {
          Fail("an argument without a name follows one that has one");
        }
        arguments.positional.push_back(Expression());
      }
    }
    ExpectOperator(")");
    return arguments;
  }

  std::string DottedName() {
    std::string name = ExpectAnyName();
    while (TakeOperator(".")) name += "." + ExpectAnyName();
    return name;
  }

  // value|one|two(...). inline_start: the first name stands there without its bar.
  NodePtr Filters(NodePtr value, bool inline_start = false) {
    while (std::exchange(inline_start, false) || TakeOperator("|")) {
      NodePtr node = Make(Kind::kFilter, current().line, std::move(value));
      node->name = DottedName();
      if (IsOperator("(")) SetArguments(*node, Arguments());
      value = std::move(node);
    }
    return value;
  }

  NodePtr Test(NodePtr value) {
    const int line = current().line;
    ExpectName("is");
    const bool negated = TakeName("not");
    NodePtr node = Make(Kind::kTest, line, std::move(value));
    node->name = DottedName();
    if (IsOperator("(")) {
      SetArguments(*node, Arguments());
    } else {
      const Token::Kind kind = current().kind;
      const bool is_argument =
          kind == Token::Kind::kString || kind == Token::Kind::kInteger ||
          kind == Token::Kind::kFloat || IsOperator("[") || IsOperator("{") ||
          (kind == Token::Kind::kName && !IsName("else") && !IsName("or") && !IsName("and"));
      if (is_argument) {
        if (IsName("is")) Fail("tests cannot follow each other with 'is'");
        CallSyntax arguments;
        arguments.positional.push_back(Postfix(Primary()));
        SetArguments(*node, std::move(arguments));
      }
    }
    return negated ? Make(Kind::kNot, line, std::move(node)) : std::move(node);
  }

  std::vector<Token> tokens_;
  std::string where_;
  const Limits& limits_;
  size_t position_ = 0;
  int depth_ = 0;
  int loops_ = 0;          // around here, in this macro
  Node* macro_ = nullptr;  // around here
};

}  // namespace

std::vector<NodePtr> Parse(std::string_view source, std::string_view where, const Limits& limits) {
  if (source.size() > limits.template_bytes) {
    throw Error(where,
                fmt::format("has {} bytes, more than the {} that a template may have",
                            source.size(), limits.template_bytes),
                kTemplateHint);
  }
  return Parser(Tokenize(source, where), where, limits).Run();
}

}  // namespace fathom::jinja
