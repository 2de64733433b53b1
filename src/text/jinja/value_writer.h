#pragma once

#include <string>
#include <string_view>

#include "text/jinja/runtime.h"
#include "text/jinja/value.h"

namespace fathom::jinja {

// Text that grows within what a rendering may take: what JSON and Python's repr() have in common.
class ValueWriter {
 public:
  Text Take() { return std::move(out_); }

 protected:
  // How a language writes what is no container and no string.
  struct Scalars {
    std::string_view none, yes, no;
    std::string (*number)(double value);
  };

  ValueWriter(Runtime& runtime, const Scalars& scalars) : runtime_(runtime), scalars_(scalars) {}

  void Put(std::string_view text) { out_.Append(text, true); }
  // Writes a scalar; false for any other value.
  bool PutScalar(const Value& value);

  Runtime& runtime_;
  Text out_;

 private:
  const Scalars scalars_;
};

}  // namespace fathom::jinja
