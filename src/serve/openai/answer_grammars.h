#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "serve/openai/request/response_format.h"
#include "serve/openai/request/tool_request.h"
#include "text/grammar/answer_grammar.h"
#include "text/grammar/token_grammar.h"

namespace fathom {

// What an answer has to look like.
struct AnswerShape {
  grammar::Thinking thinking = grammar::Thinking::kNone;
  ResponseFormat format;
  ToolRequest tools;
  ToolCallForm form = ToolCallForm::kNone;  // of calls

  // Whether it may be any text.
  bool is_free() const {
    return format.kind == ResponseFormat::Kind::kText &&
           tools.choice != ToolRequest::Choice::kRequired &&
           (tools.choice == ToolRequest::Choice::kNone || !tools.strict());
  }
};

// The grammars that answers are kept inside of, made from what requests ask for. The last ones are
// kept, with the tables that they have gathered, for the next request that asks for the same. From
// any thread; what is returned is for the engine's.
class AnswerGrammars {
 public:
  // The tokenizer has to outlive it.
  explicit AnswerGrammars(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  // Of a shape that is not free. Throws Error for a schema that cannot be kept to; of a tool that
  // is not strict, any object is taken instead.
  std::shared_ptr<grammar::TokenGrammar> Of(const AnswerShape& shape);

 private:
  static constexpr size_t kMostKept = 16;

  std::shared_ptr<grammar::TokenGrammar> Make(const AnswerShape& shape);

  const Tokenizer& tokenizer_;
  std::mutex mutex_;
  std::shared_ptr<const grammar::TokenTrie> trie_;  // once it is needed
  // By what was asked for, the last one first.
  std::list<std::pair<std::string, std::shared_ptr<grammar::TokenGrammar>>> kept_;
};

}  // namespace fathom
