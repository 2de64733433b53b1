#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fathom {

// Byte-level vocabularies are written with one printable character a byte (GPT-2's table): the
// bytes 33-126, 161-172 and 174-255 stand for the code point of the same number, the other 68
// bytes, in ascending order, for U+0100, U+0101, ... A space is U+0120.
std::string BytesToPrintable(std::string_view bytes);

// The reverse; nothing when `printable` holds a character that stands for no byte.
std::optional<std::string> PrintableToBytes(std::string_view printable);

// The 256 bytes in the order of the code points that stand for them: the order in which a trainer
// numbers its alphabet.
const std::array<uint8_t, 256>& BytesInPrintableOrder();

}  // namespace fathom
