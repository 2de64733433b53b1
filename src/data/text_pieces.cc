#include "data/text_pieces.h"

#include <algorithm>

namespace fathom {
namespace {

bool IsAsciiGraphic(char c) { return c > ' ' && c < 0x7f; }

bool IsContinuationByte(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

}  // namespace

size_t FirstPieceLength(std::string_view text, size_t target) {
  if (text.size() <= target) return text.size();
  const size_t limit = text.size() / 16 < target ? text.size() : 16 * target;
  // Only ASCII is surely not white space: a line may begin with a wide blank of Unicode.
  for (size_t end = text.find('\n', target == 0 ? 0 : target - 1); end + 1 < limit;
       end = text.find('\n', end + 1)) {
    if (IsAsciiGraphic(text[end + 1])) return end + 1;
  }
  if (limit == text.size()) return text.size();
  size_t cut = limit;
  for (int step = 0; step < 3 && cut > 1 && IsContinuationByte(text[cut]); ++step) --cut;
  return cut;
}

}  // namespace fathom
