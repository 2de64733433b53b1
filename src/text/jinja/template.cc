#include "text/jinja/template.h"

#include "text/jinja/interpreter.h"
#include "text/utf8.h"

namespace fathom::jinja {

Template::Template(std::string_view source, std::string_view where, const Limits& limits)
    : where_(where), limits_(limits) {
  body_ = Parse(ReplaceInvalidUtf8(source), where_, limits_);
}

Template::~Template() = default;
Template::Template(Template&&) noexcept = default;
Template& Template::operator=(Template&&) noexcept = default;

Text Template::Render(const Data& variables, std::optional<int64_t> now) const {
  Runtime runtime(where_, limits_);
  return Interpreter(runtime, now).Run(body_, variables);
}

}  // namespace fathom::jinja
