#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace fathom {

// A Unicode regular expression, as tokenizer files hold them (written for Oniguruma), compiled with
// PCRE2 (UTF, UCP, JIT). What the two engines read differently is rewritten (\s, \S) or refused
// (sets inside sets). Classes such as \p{L} are those of PCRE2's Unicode version (10.42: 14.0).
// Patterns are untrusted: stack and number of steps are bounded.
//
// Safe to use from several threads at once.
class Regex {
 public:
  // Throws Error with `where` when the pattern does not compile.
  Regex(std::string_view pattern, std::string_view where);

  struct Match {
    size_t begin, end;
  };

  // The first match at or after byte `start` of `subject`, which has to be valid UTF-8, `start` on
  // a character's border. Throws Error when the search takes more steps than the bound (a million
  // and 64 a byte).
  std::optional<Match> Find(std::string_view subject, size_t start) const;

 private:
  struct Code;
  std::shared_ptr<const Code> code_;
};

}  // namespace fathom
