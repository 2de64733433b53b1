#pragma once

#include <string>

#include "base/json.h"

namespace fathom {

// response_format of a request: what the text of an answer has to be.
struct ResponseFormat {
  enum class Kind { kText, kObject, kSchema };
  Kind kind = Kind::kText;
  std::string schema;  // kSchema: JSON text
};

// {"type": "text"}, {"type": "json_object"} or {"type": "json_schema", "json_schema": {"schema"}}.
// Throws Error for what else it says.
ResponseFormat ReadResponseFormat(const JsonValue& value);

}  // namespace fathom
