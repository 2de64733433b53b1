#pragma once

#include "base/json.h"
#include "text/jinja/data.h"

namespace fathom {

// The messages of a chat as a template takes them: "developer", which OpenAI's clients say for
// "system", becomes that. Throws Error, with the place, for a role that templates do not know (they
// would leave the message out) and for a message that says nothing.
jinja::Data ReadMessages(const JsonValue& messages);

}  // namespace fathom
