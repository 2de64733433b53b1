#include "data/token_rows.h"

namespace fathom {

void TokenRows::Reset(int64_t new_rows, int64_t new_length, int64_t new_depth) {
  rows = new_rows;
  length = new_length;
  depth = new_depth;
  tokens.assign(static_cast<size_t>(rows * (length + 1 + depth)), 0);
  targets.assign(static_cast<size_t>((1 + depth) * rows * length), kIgnored);
  segments.clear();
  examples.clear();
}

}  // namespace fathom
