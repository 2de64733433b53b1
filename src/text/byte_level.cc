#include "text/byte_level.h"

#include <algorithm>

#include "text/utf8.h"

namespace fathom {
namespace {

constexpr int kCodePoints = 256 + 68;

struct Table {
  std::array<uint16_t, 256> code_point;
  std::array<int16_t, kCodePoints> byte;  // -1: stands for no byte
  std::array<uint8_t, 256> order;
};

constexpr Table MakeTable() {
  Table table{};
  for (auto& byte : table.byte) byte = -1;
  int next = 256;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable =
        (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    const int code_point = printable ? byte : next++;
    table.code_point[byte] = static_cast<uint16_t>(code_point);
    table.byte[code_point] = static_cast<int16_t>(byte);
  }
  int count = 0;
  for (const int16_t byte : table.byte) {
    if (byte >= 0) table.order[count++] = static_cast<uint8_t>(byte);
  }
  return table;
}

constexpr Table kTable = MakeTable();

}  // namespace

std::string BytesToPrintable(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) AppendUtf8(kTable.code_point[static_cast<uint8_t>(c)], out);
  return out;
}

std::optional<std::string> PrintableToBytes(std::string_view printable) {
  std::string out;
  out.reserve(printable.size());
  for (size_t i = 0; i < printable.size(); ++i) {
    // All characters of the table are one or two bytes of UTF-8.
    uint32_t code_point = static_cast<uint8_t>(printable[i]);
    if (code_point >= 0x80) {
      if ((code_point & 0xE0) != 0xC0 || i + 1 == printable.size()) return std::nullopt;
      const uint8_t second = static_cast<uint8_t>(printable[++i]);
      if ((second & 0xC0) != 0x80) return std::nullopt;
      code_point = ((code_point & 0x1F) << 6) | (second & 0x3F);
    }
    if (code_point >= kCodePoints || kTable.byte[code_point] < 0) return std::nullopt;
    out.push_back(static_cast<char>(kTable.byte[code_point]));
  }
  return out;
}

const std::array<uint8_t, 256>& BytesInPrintableOrder() { return kTable.order; }

}  // namespace fathom
