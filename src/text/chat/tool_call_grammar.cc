#include "text/chat/tool_call_grammar.h"

#include <string_view>
#include <utility>
#include <vector>

#include "text/grammar/answer_grammar.h"
#include "text/grammar/token_trie.h"

namespace fathom {
namespace {

using E = grammar::Expression;

// The grammar of calls in one form.
class CallWriter {
 public:
  CallWriter(ToolCallForm form, const Tokenizer& tokenizer)
      : marks_(MarksOf(form)), tokenizer_(tokenizer) {}

  // The first mark of calls.
  std::string_view first() const { return marks_.begin.empty() ? marks_.call_begin : marks_.begin; }

  // The calls behind their first mark.
  E AfterFirst(std::span<const CallableTool> tools, bool several,
               grammar::GrammarBuilder& builder) const {
    std::vector<E> insides;
    for (const CallableTool& tool : tools) {
      insides.push_back(
          E::Sequence({Text(marks_.before_name), E::Text(tool.name), Text(marks_.after_name),
                       tool.arguments, Text(marks_.after_arguments), Text(marks_.call_end)}));
    }
    const E inside = E::Call(builder.NewRule(E::Choice(std::move(insides))));
    const E more = E::Sequence({Text(marks_.between), Text(marks_.call_begin), inside});
    return E::Sequence({marks_.begin.empty() ? E::Empty() : Text(marks_.call_begin), inside,
                        E::Repeat(more, 0, several ? E::kUnbounded : 0), Text(marks_.end)});
  }

  // A part of the form, of which some pieces may be added tokens: those between < and >.
  E Text(std::string_view text) const {
    std::vector<E> parts;
    while (!text.empty()) {
      const size_t begin = text.find('<');
      const size_t end = begin == text.npos ? text.npos : text.find('>', begin);
      if (end == text.npos) {
        parts.push_back(E::Text(text));
        break;
      }
      parts.push_back(E::Text(text.substr(0, begin)));
      parts.push_back(E::Text(grammar::MarkText(tokenizer_, text.substr(begin, end + 1 - begin))));
      text.remove_prefix(end + 1);
    }
    return E::Sequence(std::move(parts));
  }

 private:
  const ToolCallMarks& marks_;
  const Tokenizer& tokenizer_;
};

}  // namespace

grammar::Expression ToolCallsOnly(ToolCallForm form, std::span<const CallableTool> tools,
                                  bool several, const Tokenizer& tokenizer,
                                  grammar::GrammarBuilder& builder) {
  const CallWriter writer(form, tokenizer);
  return E::Sequence({writer.Text(writer.first()), writer.AfterFirst(tools, several, builder)});
}

grammar::Expression TextOrToolCalls(ToolCallForm form, std::span<const CallableTool> tools,
                                    bool several, const Tokenizer& tokenizer,
                                    grammar::GrammarBuilder& builder) {
  const CallWriter writer(form, tokenizer);
  return E::Choice({grammar::Without(writer.first(), builder),
                    E::Sequence({grammar::Until(writer.first(), tokenizer, builder),
                                 writer.AfterFirst(tools, several, builder)})});
}

}  // namespace fathom
