#include "serve/openai/answer_grammars.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "text/chat/tool_call_grammar.h"
#include "text/grammar/json_schema.h"

namespace fathom {
namespace {

using grammar::Expression;
using grammar::GrammarBuilder;
using grammar::TokenGrammar;

// Everything that the grammar is made from.
std::string KeyOf(const AnswerShape& shape) {
  std::string key =
      fmt::format("{} {} {} {} {}\n{}\n", static_cast<int>(shape.thinking),
                  static_cast<int>(shape.format.kind), static_cast<int>(shape.tools.choice),
                  static_cast<int>(shape.form), shape.tools.several, shape.format.schema);
  if (shape.tools.choice == ToolRequest::Choice::kNone) return key;
  for (const ToolDefinition& tool : shape.tools.callable) {
    key += fmt::format("{} {}\n{}\n", tool.name, tool.strict, tool.parameters);
  }
  return key;
}

// Throws Error when a schema cannot be kept to.
void Check(const JsonDocument& schema, const std::string& where) {
  GrammarBuilder builder(where);
  const grammar::JsonText json(builder);
  const Expression values = SchemaValues(schema.root(), json, builder);
  builder.Build(builder.NewRule(values));
}

std::vector<CallableTool> Callable(const ToolRequest& tools, const grammar::JsonText& json,
                                   GrammarBuilder& builder) {
  std::vector<CallableTool> callable;
  for (const ToolDefinition& tool : tools.callable) {
    const std::string where = fmt::format("tools: {}.parameters", tool.name);
    const JsonDocument schema(tool.parameters, where);
    bool is_kept_to = !schema.root().Object().empty();
    try {
      if (is_kept_to) Check(schema, where);
    } catch (const Error&) {
      if (tool.strict) throw;
      is_kept_to = false;
    }
    callable.push_back(
        {tool.name, is_kept_to ? SchemaValues(schema.root(), json, builder) : json.Object()});
  }
  return callable;
}

}  // namespace

std::shared_ptr<TokenGrammar> AnswerGrammars::Of(const AnswerShape& shape) {
  const std::string key = KeyOf(shape);
  const std::lock_guard lock(mutex_);
  auto found = std::ranges::find(kept_, key, [](const auto& one) { return one.first; });
  if (found == kept_.end()) {
    kept_.emplace_front(key, Make(shape));
    if (kept_.size() > kMostKept) kept_.pop_back();
  } else {
    kept_.splice(kept_.begin(), kept_, found);
  }
  return kept_.front().second;
}

std::shared_ptr<TokenGrammar> AnswerGrammars::Make(const AnswerShape& shape) {
  if (!trie_) trie_ = std::make_shared<const grammar::TokenTrie>(tokenizer_);
  GrammarBuilder builder("what the answer has to be");
  const grammar::JsonText json(builder);
  std::vector<Expression> contents;
  if (shape.format.kind == ResponseFormat::Kind::kObject) contents.push_back(json.Object());
  if (shape.format.kind == ResponseFormat::Kind::kSchema) {
    const std::string where = "response_format.json_schema.schema";
    const JsonDocument schema(shape.format.schema, where);
    Check(schema, where);
    contents.push_back(SchemaValues(schema.root(), json, builder));
  }
  if (shape.tools.choice != ToolRequest::Choice::kNone) {
    const std::vector<CallableTool> tools = Callable(shape.tools, json, builder);
    const bool must = shape.tools.choice == ToolRequest::Choice::kRequired;
    if (must) contents.clear();
    contents.push_back(
        must || !contents.empty()
            ? ToolCallsOnly(shape.form, tools, shape.tools.several, tokenizer_, builder)
            : TextOrToolCalls(shape.form, tools, shape.tools.several, tokenizer_, builder));
  }
  const Expression answer =
      AfterThinking(shape.thinking, Expression::Choice(std::move(contents)), tokenizer_, builder);
  return std::make_shared<TokenGrammar>(builder.Build(builder.NewRule(answer)), trie_);
}

}  // namespace fathom
