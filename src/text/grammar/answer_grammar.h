#pragma once

#include <cstdint>
#include <string_view>

#include "text/grammar/expression.h"
#include "text/grammar/grammar.h"
#include "text/tokenizer.h"

namespace fathom::grammar {

// Whether a model thinks before it answers.
enum class Thinking : uint8_t {
  kNone,
  kInside,    // the prompt has opened the thoughts
  kMayBegin,  // the model may open them
};

// An answer whose part after the thoughts is `content`; thoughts are any text up to the first
// </think>, and up to two new lines may follow them. An answer may end after its content only.
Expression AfterThinking(Thinking thinking, Expression content, const Tokenizer& tokenizer,
                         GrammarBuilder& builder);

// Any text up to the first `mark`, be it an added token or spelled, and that.
Expression Until(std::string_view mark, const Tokenizer& tokenizer, GrammarBuilder& builder);

// Any text that does not have `mark` in it.
Expression Without(std::string_view mark, GrammarBuilder& builder);

}  // namespace fathom::grammar
