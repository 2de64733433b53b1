#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fathom {

// Tokens that see each other: inputs [begin, begin + length) of a row. Positions and attention
// begin anew with each segment.
struct Segment {
  int64_t row = 0;
  int64_t begin = 0;
  int64_t length = 0;
};

// What a model that scores texts is to say of those that end in a row: that one is better than
// another (a pair), or how likely it is that a text is good (a single one).
struct ScoredExample {
  int64_t row = 0;
  int64_t end = 0;         // the input of the row that the better, or single, text ends with
  int64_t worse_end = -1;  // that of the worse one; -1: a single text
  double value = 0;        // the pair's margin; the text's label, 0 or 1
};

// What a step is computed on. With `depth` multi-token-prediction modules, input i of a row
// predicts the tokens 1, 2, ..., 1 + depth places after it.
struct TokenRows {
  // A target that counts for nothing.
  static constexpr int32_t kIgnored = -1;

  int64_t rows = 0;
  // Inputs a row.
  int64_t length = 0;
  int64_t depth = 0;
  // [rows, length + 1 + depth]: the inputs, and the tokens after them that are only predicted (and,
  // for multi-token prediction, embedded).
  std::vector<int32_t> tokens;
  // [1 + depth, rows, length]: token ids or kIgnored; level 0 is the next token.
  std::vector<int32_t> targets;
  // Ascending by row and begin; they cover every input once.
  std::vector<Segment> segments;
  // Ascending by row; empty where tokens are predicted. The targets of ends are 0, other inputs
  // have none.
  std::vector<ScoredExample> examples;

  int32_t Token(int64_t row, int64_t i) const {
    return tokens[static_cast<size_t>(row * (length + 1 + depth) + i)];
  }
  int32_t Target(int64_t level, int64_t row, int64_t i) const {
    return targets[static_cast<size_t>((level * rows + row) * length + i)];
  }

  // Gives every array its size for these dimensions; tokens 0, targets ignored, no segments
  // and no examples.
  void Reset(int64_t new_rows, int64_t new_length, int64_t new_depth);
};

}  // namespace fathom
