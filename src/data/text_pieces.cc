#include "data/text_pieces.h"

#include <algorithm>

#include "base/error.h"

namespace fathom {
namespace {

bool IsVisible(char c) { return c > ' ' && c < 0x7f; }

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool IsContinuationByte(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

bool IsSafeCut(std::string_view text, size_t cut) {
  if (text[cut - 1] == '\n') return IsVisible(text[cut - 2]) && IsVisible(text[cut]);
  return text[cut] == ' ' && IsLetter(text[cut - 1]) && IsLetter(text[cut + 1]);
}

}  // namespace

size_t FirstPieceLength(std::string_view text, size_t target) {
  FATHOM_CHECK(target >= 4);
  const size_t limit = std::min(text.size() - std::min<size_t>(text.size(), 1), 16 * target);
  for (size_t cut = target; cut < limit; ++cut) {
    if (IsSafeCut(text, cut)) return cut;
  }
  if (text.size() <= 16 * target) return text.size();
  size_t cut = limit;
  for (int step = 0; step < 3 && IsContinuationByte(text[cut]); ++step) --cut;
  return cut;
}

}  // namespace fathom
