// A config.json of any content is read or is an Error; what is read can be counted, and written and
// read again to the same configuration.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "model/config.h"
#include "model/parameters.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const fathom::ModelConfig config = fathom::ModelConfig::FromJson(text, "config.json");
    // Layers and experts may number millions in a file that is not refused; a list of them all is
    // the reader's decision.
    if (config.total_layers() * (1 + config.n_routed_experts) < 1000)
      fathom::CountParameters(config);
    const std::string written = config.ToJson("float32");
    FATHOM_CHECK(fathom::ModelConfig::FromJson(written, "written").ToJson("float32") == written);
  } catch (const fathom::Error&) {
  }
  return 0;
}
