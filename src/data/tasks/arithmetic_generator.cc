// Chains of arithmetic. An expression is a tree; it is solved one operation at a time, from the
// left, by whoever could do that operation next.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/tasks/generators.h"

namespace fathom {
namespace {

struct Node {
  char operation = 0;  // + - * /; 0: a number
  int64_t value = 0;
  std::unique_ptr<Node> left, right;
};

using NodePointer = std::unique_ptr<Node>;

// No value on the way is larger.
constexpr int64_t kLargest = 1'000'000;

std::optional<int64_t> Apply(char operation, int64_t left, int64_t right) {
  int64_t value = 0;
  switch (operation) {
    case '+':
      value = left + right;
      break;
    case '-':
      value = left - right;
      break;
    case '*':
      value = left * right;
      break;
    default:
      if (right == 0 || left % right != 0) return std::nullopt;
      value = left / right;
  }
  if (value > kLargest || value < -kLargest) return std::nullopt;
  return value;
}

class Maker {
 public:
  Maker(RandomStream& random, int difficulty) : random_(random), difficulty_(difficulty) {}

  // Null: some value on the way is no whole number, negative where it should not be, or too large.
  NodePointer Make(int operations) {
    auto node = std::make_unique<Node>();
    if (operations == 0) {
      node->value = DrawBetween(random_, 2, difficulty_ == 2 ? 20 : difficulty_ <= 6 ? 50 : 100);
      return node;
    }
    // What a level adds: * at 2, brackets at 4 (below that the tree leans to the left), / at 5.
    node->operation = "+-*/"[random_.NextBelow(difficulty_ >= 5 ? 4 : difficulty_ >= 2 ? 3 : 2)];
    const int right = difficulty_ >= 4
                          ? static_cast<int>(random_.NextBelow(static_cast<uint64_t>(operations)))
                          : 0;
    node->left = Make(operations - 1 - right);
    node->right = Make(right);
    if (!node->left || !node->right) return nullptr;
    const auto value = Apply(node->operation, node->left->value, node->right->value);
    if (!value || (difficulty_ < 6 && *value < 0)) return nullptr;
    node->value = *value;
    return node;
  }

 private:
  RandomStream& random_;
  int difficulty_;
};

int Rank(char operation) { return operation == '+' || operation == '-' ? 1 : 2; }

// With the brackets that are needed.
std::string Print(const Node& node) {
  if (node.operation == 0) {
    return node.value < 0 ? fmt::format("({})", node.value) : fmt::format("{}", node.value);
  }
  const auto part = [&](const Node& child, bool right) {
    const bool brackets =
        child.operation != 0 &&
        (Rank(child.operation) < Rank(node.operation) ||
         (right && Rank(child.operation) == Rank(node.operation) &&
          (node.operation == '-' || node.operation == '/' || child.operation == '/')));
    return brackets ? "(" + Print(child) + ")" : Print(child);
  };
  return fmt::format("{} {} {}", part(*node.left, false), node.operation, part(*node.right, true));
}

// The form in which sums and products have no order: each is the list of what is added and taken
// away (multiplied and divided by), sorted.
std::string Canonical(const Node& node);

void Collect(const Node& node, int rank, bool inverse, std::vector<std::string>& parts) {
  if (node.operation == 0 || Rank(node.operation) != rank) {
    parts.push_back((inverse ? "~" : "") + Canonical(node));
    return;
  }
  Collect(*node.left, rank, inverse, parts);
  const bool turns = node.operation == '-' || node.operation == '/';
  Collect(*node.right, rank, inverse != turns, parts);
}

std::string Canonical(const Node& node) {
  if (node.operation == 0) return fmt::format("{}", node.value);
  std::vector<std::string> parts;
  Collect(node, Rank(node.operation), false, parts);
  std::sort(parts.begin(), parts.end());
  return fmt::format("{}({})", Rank(node.operation) == 1 ? '+' : '*', fmt::join(parts, ","));
}

// Does the leftmost operation of two numbers; says what it was.
std::string Reduce(Node& node) {
  if (node.left->operation != 0) return Reduce(*node.left);
  if (node.right->operation != 0) return Reduce(*node.right);
  std::string step = fmt::format("{} = {}", Print(node), node.value);
  node.operation = 0;
  return step;
}

}  // namespace

WorkedProblem DrawArithmetic(RandomStream& random, int difficulty) {
  NodePointer tree;
  while (!tree) tree = Maker(random, difficulty).Make(difficulty);
  WorkedProblem problem;
  problem.canonical = "arithmetic:" + Canonical(*tree);
  problem.question = fmt::format("What is {}?", Print(*tree));
  problem.answer = fmt::format("{}", tree->value);
  while (tree->operation != 0) {
    std::string step = Reduce(*tree);
    if (tree->operation != 0) step += fmt::format(", which leaves {}", Print(*tree));
    problem.steps.push_back(std::move(step));
  }
  return problem;
}

}  // namespace fathom
