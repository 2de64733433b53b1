#pragma once

#include <string_view>

#include "text/jinja/runtime.h"
#include "text/jinja/value.h"

namespace fathom::jinja {

// Python's json.dumps, as the tojson filter of transformers calls it.
struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  bool has_indent = false;
  Text indent;  // of one level
  Text item_separator{", ", true};
  Text key_separator{": ", true};
};

// Fails for what JSON does not have (undefined, functions, generators, circles).
Text ToJson(Runtime& runtime, const Value& value, const JsonStyle& style = {});

// Indentation by `width` spaces, as json.dumps(indent=width) has it.
JsonStyle IndentedJson(Runtime& runtime, int64_t width);

}  // namespace fathom::jinja
