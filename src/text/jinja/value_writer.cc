#include "text/jinja/value_writer.h"

#include "base/error.h"

namespace fathom::jinja {

bool ValueWriter::PutScalar(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::kNone:
      Put(scalars_.none);
      return true;
    case Value::Kind::kBool:
      Put(value.boolean() ? scalars_.yes : scalars_.no);
      return true;
    case Value::Kind::kInt:
      Put(fmt::format("{}", value.integer()));
      return true;
    case Value::Kind::kFloat:
      Put(scalars_.number(value.number()));
      return true;
    default:
      return false;
  }
}

}  // namespace fathom::jinja
