// A tokenizer.json of any content is read or is an Error; what is read encodes any text to ids that
// decode, and can be written and read again.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view json(reinterpret_cast<const char*>(data), size);
  try {
    const fathom::Tokenizer tokenizer = fathom::Tokenizer::FromJson(json, "tokenizer.json");
    tokenizer.Decode(tokenizer.Encode(json.substr(0, 1000)));
    tokenizer.Decode(
        tokenizer.Encode("Hello,  w\xc3\xb6rld 123\r\n\xe4\xbd\xa0\xe5\xa5\xbd \xff\xf0\x9f\x98"));
    const std::string written = tokenizer.ToJson();
    FATHOM_CHECK(fathom::Tokenizer::FromJson(written, "written").fingerprint() ==
                 tokenizer.fingerprint());
  } catch (const fathom::Error&) {
  }
  return 0;
}
