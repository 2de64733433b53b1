#pragma once

#include <cstddef>
#include <string_view>

namespace fathom {

// Where to cut a long text so that its parts can be tokenised apart: the length of the first part,
// at least `target` bytes unless the text is shorter. It is cut where the pre-tokenisers in use
// (GPT-2's, DeepSeek's and their kin) never join, so that the tokens are those of the whole: after
// a line end between two visible ASCII characters, or before a space between two ASCII letters.
// Where no such place comes within 16 times the target, it is cut between two characters of UTF-8.
size_t FirstPieceLength(std::string_view text, size_t target);

}  // namespace fathom
