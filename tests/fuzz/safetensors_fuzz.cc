// A safetensors file of any content opens or is an Error, and every tensor of it can be read.

#include <cstddef>
#include <cstdint>

#include "base/error.h"
#include "formats/safetensors.h"
#include "fuzz/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const fathom::fuzz::MemoryFile memory(data, size);
  try {
    const fathom::SafetensorsFile file(memory.path());
    for (const auto& [name, entry] : file.entries()) {
      try {
        const fathom::ConstTensor value = file.Get(name);
        volatile unsigned char sum = 0;
        for (int64_t i = 0; i < value.bytes(); ++i)
          sum = sum ^ static_cast<const unsigned char*>(value.raw())[i];
      } catch (const fathom::Error&) {
      }
    }
  } catch (const fathom::Error&) {
  }
  return 0;
}
