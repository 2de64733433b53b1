#pragma once

#include <optional>
#include <string>
#include <vector>

#include "text/grammar/json_text.h"

namespace fathom::grammar {

// The members of an object: named ones in this order, those that are not required may be missing;
// then any number of others, whose names are none of these.
struct ObjectMembers {
  struct Named {
    std::string name;
    Expression value;
    bool required;
  };
  std::vector<Named> named;
  std::optional<Expression> additional;  // the values of the others; nothing: there are none
};

Expression ObjectOf(const ObjectMembers& members, const JsonText& json, GrammarBuilder& builder);

}  // namespace fathom::grammar
