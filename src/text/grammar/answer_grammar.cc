#include "text/grammar/answer_grammar.h"

#include <string>
#include <utility>
#include <vector>

#include "text/grammar/token_trie.h"
#include "text/special_tokens.h"

namespace fathom::grammar {
namespace {

using E = Expression;

constexpr uint8_t kLastTextByte = 0xFE;  // the one after it begins marks

// Texts by how much of `mark` stands at their end, a rule for each length (Knuth, Morris and
// Pratt): `rest` follows in each, or the first whole mark ends the text where it may.
E Scan(std::string_view mark, bool may_end_with_mark, const E& rest, GrammarBuilder& builder) {
  std::vector<int> rules;
  for (size_t i = 0; i < mark.size(); ++i) rules.push_back(builder.NewRule());
  for (size_t length = 0; length < mark.size(); ++length) {
    std::vector<E> parts = {rest};
    for (int byte = 0; byte <= kLastTextByte; ++byte) {
      std::string seen(mark.substr(0, length));
      seen += static_cast<char>(byte);
      while (!mark.starts_with(seen)) seen.erase(0, 1);
      const E here = E::Bytes(static_cast<uint8_t>(byte), static_cast<uint8_t>(byte));
      if (seen.size() < mark.size()) {
        parts.push_back(E::Sequence({here, E::Call(rules[seen.size()])}));
      } else if (may_end_with_mark) {
        parts.push_back(here);
      }
    }
    builder.Define(rules[length], E::Choice(std::move(parts)));
  }
  return E::Call(rules[0]);
}

}  // namespace

Expression Until(std::string_view mark, const Tokenizer& tokenizer, GrammarBuilder& builder) {
  const bool is_token = tokenizer.AddedTokenId(mark).has_value();
  return Scan(mark, true, is_token ? E::Text(MarkText(tokenizer, mark)) : E::Nothing(), builder);
}

Expression Without(std::string_view mark, GrammarBuilder& builder) {
  return Scan(mark, false, E::Empty(), builder);
}

Expression AfterThinking(Thinking thinking, Expression content, const Tokenizer& tokenizer,
                         GrammarBuilder& builder) {
  if (thinking == Thinking::kNone) return content;
  const E thoughts =
      E::Sequence({Until(kThinkEnd, tokenizer, builder), E::Repeat(E::Text("\n"), 0, 2)});
  const E answer = E::Call(builder.NewRule(std::move(content)));
  if (thinking == Thinking::kInside) return E::Sequence({thoughts, answer});
  return E::Choice(
      {answer, E::Sequence({E::Text(MarkText(tokenizer, kThinkBegin)), thoughts, answer})});
}

}  // namespace fathom::grammar
