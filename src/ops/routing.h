#pragma once

#include <cstdint>
#include <vector>

#include "tensor/tensor.h"

namespace fathom {

enum class RouterScoring : uint8_t { kSigmoid, kSoftmax };
enum class GroupScore : uint8_t { kTopTwo, kMaximum };

// How a token chooses its experts (DeepSeek-V3 report, section 2.1.2; DeepSeek-V2 report, section
// 2.1.2; the gates of the released model code).
struct RouterOptions {
  int64_t top_k = 1;
  int64_t groups = 1;         // experts are divided into this many groups of equal size ...
  int64_t top_groups = 1;     // ... of which a token may use this many
  bool normalize = true;      // weights divided by their sum (+ 1e-20)
  double scaling_factor = 1;  // weights multiplied by this, after that
  RouterScoring scoring = RouterScoring::kSigmoid;
  GroupScore group_score = GroupScore::kTopTwo;
};

// Which rows of an expert-sorted matrix belong to which token. Rows are ordered by expert, within
// an expert by token.
struct ExpertRows {
  // [experts + 1], on the host: expert e has rows [offsets[e], offsets[e + 1]).
  std::vector<int64_t> offsets;
  Tensor token_of_row;  // i32 [tokens * top_k]
  Tensor row_of_slot;  // i32 [tokens, top_k]: the row of a token's slot (slots ascend by expert id)
};

}  // namespace fathom
