// A template of any content is an Error or ends within its limits, whatever variables it is given;
// what it prints is well-formed UTF-8 and not larger than the limit. Input: the template, a zero
// byte, the variables as JSON (an object; anything else: a small conversation).

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "text/jinja/template.h"
#include "text/utf8.h"

namespace {

constexpr std::string_view kConversation =
    R"({"messages": [{"role": "user", "content": "Hi <b> \u00e9"}, {"role": "assistant",)"
    R"( "content": null, "tool_calls": [{"function": {"name": "f", "arguments": {"a": [1, 2.5]}}}]}],)"
    R"( "tools": [], "add_generation_prompt": true, "bos_token": "<s>"})";

fathom::jinja::Data Variables(std::string_view json) {
  try {
    const fathom::JsonDocument document(json, "variables");
    fathom::jinja::Data data = fathom::jinja::Data::FromJson(document.root());
    if (data.IsObject()) return data;
  } catch (const fathom::Error&) {
  }
  return fathom::jinja::Data::FromJson(fathom::JsonDocument(kConversation, "").root());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t zero = std::min(input.find('\0'), input.size());
  const std::string_view json = input.substr(std::min(zero + 1, input.size()));
  // Small enough that an execution takes milliseconds; the paths are those of the real limits.
  fathom::jinja::Limits limits;
  limits.steps = 50'000;
  limits.memory_bytes = size_t{8} << 20;
  limits.output_bytes = size_t{1} << 20;
  limits.range = 1000;
  try {
    const fathom::jinja::Template program(input.substr(0, zero), "template", limits);
    const fathom::jinja::Text text = program.Render(Variables(json), /*now=*/0);
    FATHOM_CHECK(text.size() <= limits.output_bytes);
    FATHOM_CHECK(fathom::ReplaceInvalidUtf8(text.bytes()) == text.bytes());
  } catch (const fathom::Error&) {
  }
  return 0;
}
