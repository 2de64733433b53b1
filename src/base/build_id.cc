#include "base/build_id.h"

#include <link.h>

#include <cstdint>
#include <cstring>

#include "base/message_digest.h"

namespace fathom {
namespace {

// The first object is the program itself.
int ReadFirst(dl_phdr_info* info, size_t, void* result) {
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = info->dlpi_phdr[i];
    if (segment.p_type != PT_NOTE) continue;
    // The loader gives the address as a number.
    const auto* note = reinterpret_cast<const char*>(  // NOLINT(performance-no-int-to-ptr)
        info->dlpi_addr + segment.p_vaddr);
    const char* const end = note + segment.p_memsz;
    const auto padded = [](size_t size) { return (size + 3) / 4 * 4; };
    while (note + sizeof(ElfW(Nhdr)) <= end) {
      ElfW(Nhdr) header;
      std::memcpy(&header, note, sizeof(header));
      const char* const name = note + sizeof(header);
      const char* const content = name + padded(header.n_namesz);
      if (header.n_type == NT_GNU_BUILD_ID && header.n_namesz == 4 &&
          std::memcmp(name, "GNU", 4) == 0) {
        const auto* bytes = reinterpret_cast<const uint8_t*>(content);
        *static_cast<std::string*>(result) = ToHex({bytes, bytes + header.n_descsz});
        return 1;
      }
      note = content + padded(header.n_descsz);
    }
  }
  return 1;
}

}  // namespace

const std::string& BuildId() {
  static const std::string id = [] {
    std::string result;
    dl_iterate_phdr(ReadFirst, &result);
    return result;
  }();
  return id;
}

}  // namespace fathom
