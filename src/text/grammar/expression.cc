#include "text/grammar/expression.h"

namespace fathom::grammar {

Expression Expression::Bytes(uint8_t low, uint8_t high) {
  return Expression({.kind = Kind::kBytes, .low = low, .high = high});
}

Expression Expression::Text(std::string_view text) {
  std::vector<Expression> parts;
  for (const char byte : text) {
    parts.push_back(Bytes(static_cast<uint8_t>(byte), static_cast<uint8_t>(byte)));
  }
  return Sequence(std::move(parts));
}

Expression Expression::Sequence(std::vector<Expression> parts) {
  return Expression({.kind = Kind::kSequence, .parts = std::move(parts)});
}

Expression Expression::Choice(std::vector<Expression> parts) {
  return Expression({.kind = Kind::kChoice, .parts = std::move(parts)});
}

Expression Expression::Repeat(Expression part, int64_t least, int64_t most) {
  return Expression(
      {.kind = Kind::kRepeat, .least = least, .most = most, .parts = {std::move(part)}});
}

Expression Expression::Call(int rule) { return Expression({.kind = Kind::kCall, .rule = rule}); }

}  // namespace fathom::grammar
