#pragma once

#include <string>
#include <string_view>

namespace fathom {

// A pattern as tokenizer files hold it (Oniguruma, Ruby's syntax) for PCRE2 with UTF, UCP and
// MULTILINE, so that it matches the same texts:
//   \p{L} and other general categories, \p{Han}: the characters of unicode.h, whatever the version
//     of Unicode that PCRE2 knows; other scripts as PCRE2 knows them
//   \s \d \w \h and their opposites, \b, \R, [:digit:] [:space:] [:word:] [:xdigit:]: Oniguruma's
//   sets
//   {,n}: {0,n}; a{n}+ and a{n,m}+: (?:a{n})+ (not possessive); a{n}?: (?:a{n})?
// What the two engines read differently and is not rewritten, and what no tokenizer needs, is an
// Error (with `where`) that names it: sets inside sets and &&, other [:classes:], back references,
// \K, \G, \X, options other than i, categories without regard to case.
std::string TranslateForPcre(std::string_view pattern, std::string_view where);

}  // namespace fathom
