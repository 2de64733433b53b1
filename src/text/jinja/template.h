#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/data.h"
#include "text/jinja/limits.h"
#include "text/jinja/syntax.h"
#include "text/jinja/text.h"

namespace fathom::jinja {

// A chat template in Jinja, as model files carry it, read as transformers reads it: Jinja's sandbox
// with immutable values, trim_blocks, lstrip_blocks, break and continue, `generation` blocks, its
// own tojson, and raise_exception and strftime_now. What it renders is what Python renders, but for
// integers beyond 64 bits, case mappings that change a text's length, and the parts of Jinja that
// no model uses (include, extends, block, recursive loops, a few filters): these are errors.
//
// A template is a stranger's program. It sees the data it is given and nothing else, runs no code,
// and every way to use too much time or memory ends in an Error (limits.h). Immutable; safe to use
// from several threads at once.
class Template {
 public:
  // where: its name in errors. Ill-formed UTF-8 in the source is replaced by U+FFFD. Throws Error
  // that names the line.
  Template(std::string_view source, std::string_view where, const Limits& limits = {});
  ~Template();
  Template(Template&&) noexcept;
  Template& operator=(Template&&) noexcept;

  // variables: an object. now: what strftime_now sees, in seconds since 1970, as UTC; nothing: this
  // machine's time and zone. Throws Error where Python's Jinja raises one, raise_exception
  // included.
  Text Render(const Data& variables, std::optional<int64_t> now = std::nullopt) const;

 private:
  std::string where_;
  Limits limits_;
  std::vector<NodePtr> body_;
};

}  // namespace fathom::jinja
