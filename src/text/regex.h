#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>

#include "text/matcher.h"

namespace fathom {

// A Unicode regular expression, as tokenizer files hold them (written for Oniguruma), rewritten
// (regex_translate.h) and compiled with PCRE2 (UTF, UCP, JIT). Patterns are untrusted: length,
// stack and number of steps are bounded.
//
// Safe to use from several threads at once.
class Regex final : public Matcher {
 public:
  // Throws Error with `where` when the pattern does not compile.
  Regex(std::string_view pattern, std::string_view where);

  // Throws Error when the search takes more steps than the bound (a million and 64 a byte).
  std::optional<TextRange> Find(std::string_view text, size_t start) const override;

 private:
  struct Code;
  std::shared_ptr<const Code> code_;
};

}  // namespace fathom
