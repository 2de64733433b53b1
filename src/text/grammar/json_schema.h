#pragma once

#include <string_view>

#include "base/json.h"
#include "text/grammar/grammar.h"
#include "text/grammar/json_text.h"

namespace fathom::grammar {

// Adds to a grammar the JSON values that a JSON Schema (draft 2020-12) describes; the expression
// for them. Properties come in the order of the schema; where `properties` are given and nothing is
// said of others, there are none. What is written is always valid for the schema; a part of a
// schema that cannot be kept to is an Error that names it (docs/serving.md has the list).
Expression SchemaValues(const JsonValue& schema, const JsonText& json, GrammarBuilder& builder);

}  // namespace fathom::grammar
