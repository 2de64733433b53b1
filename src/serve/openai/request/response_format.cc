#include "serve/openai/request/response_format.h"

#include "base/error.h"

namespace fathom {

ResponseFormat ReadResponseFormat(const JsonValue& value) {
  const JsonValue type = value.At("type");
  if (type.String() == "text") return {};
  if (type.String() == "json_object") return {.kind = ResponseFormat::Kind::kObject};
  if (type.String() != "json_schema") {
    throw Error(type.path(), fmt::format("'{}' is no format", type.String()),
                "text, json_object or json_schema");
  }
  return {.kind = ResponseFormat::Kind::kSchema,
          .schema = value.At("json_schema").At("schema").Minified()};
}

}  // namespace fathom
