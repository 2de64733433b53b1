#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fathom::jinja {

struct Token {
  enum class Kind {
    kData,  // template text
    kVariableBegin,
    kVariableEnd,
    kBlockBegin,
    kBlockEnd,
    kName,
    kString,  // decoded
    kInteger,
    kFloat,
    kOperator,
    kEnd,
  };
  Kind kind;
  int line;  // from 1
  std::string text;
};

// A template as tokens, the last of which is kEnd. Comments are gone, raw blocks are data, and
// white space around tags is taken away as transformers asks of Jinja: trim_blocks, lstrip_blocks,
// one newline at the end dropped. source is well-formed UTF-8. Throws Error with `where` and the
// line.
std::vector<Token> Tokenize(std::string_view source, std::string_view where);

// A template as Jinja reads it: \r\n and \r become \n; one newline at the end is dropped.
std::string NormalizeNewlines(std::string_view source);

}  // namespace fathom::jinja
