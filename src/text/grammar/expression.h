#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fathom::grammar {

// A set of byte strings, written as an expression over bytes and rules. Immutable and cheap to
// copy. Bytes are bytes: characters of several of them are in characters.h.
class Expression {
 public:
  enum class Kind : uint8_t { kBytes, kSequence, kChoice, kRepeat, kCall };
  static constexpr int64_t kUnbounded = -1;

  // The empty string, and nothing but it.
  static Expression Empty() { return Sequence({}); }
  // No string at all.
  static Expression Nothing() { return Choice({}); }
  // One byte of [low, high].
  static Expression Bytes(uint8_t low, uint8_t high);
  static Expression Text(std::string_view text);
  static Expression Sequence(std::vector<Expression> parts);
  static Expression Choice(std::vector<Expression> parts);
  // `least` to `most` times; most: kUnbounded for any number.
  static Expression Repeat(Expression part, int64_t least, int64_t most);
  static Expression Optional(Expression part) { return Repeat(std::move(part), 0, 1); }
  // What a rule of the same grammar stands for.
  static Expression Call(int rule);

  Kind kind() const { return node_->kind; }
  uint8_t low() const { return node_->low; }
  uint8_t high() const { return node_->high; }
  int64_t least() const { return node_->least; }
  int64_t most() const { return node_->most; }
  int rule() const { return node_->rule; }
  const std::vector<Expression>& parts() const { return node_->parts; }

 private:
  struct Node {
    Kind kind;
    uint8_t low = 0, high = 0;
    int64_t least = 0, most = 0;
    int rule = 0;
    std::vector<Expression> parts;
  };
  explicit Expression(Node node) : node_(std::make_shared<const Node>(std::move(node))) {}

  std::shared_ptr<const Node> node_;
};

}  // namespace fathom::grammar
