#include "text/chat/answer_reader.h"

#include <utility>

namespace fathom {

AnswerReader::AnswerReader(bool inside_thinking, ToolCallForm form, bool several_calls)
    : parts_(inside_thinking), several_calls_(several_calls) {
  if (form != ToolCallForm::kNone) parser_.emplace(form);
}

void AnswerReader::Take(ToolCallParser::Delta delta, News& news) {
  news.content += delta.text;
  for (ToolCall& call : delta.calls) {
    if (has_enough()) return;
    ++calls_;
    news.calls.push_back(std::move(call));
  }
}

AnswerReader::News AnswerReader::Push(std::string_view text) {
  ReasoningParts::Delta delta = parts_.Push(text);
  News news{.reasoning = std::move(delta.reasoning)};
  if (parser_) {
    Take(parser_->Push(delta.content), news);
  } else {
    news.content = std::move(delta.content);
  }
  return news;
}

AnswerReader::News AnswerReader::Finish() {
  ReasoningParts::Delta delta = parts_.Finish();
  News news{.reasoning = std::move(delta.reasoning)};
  if (parser_) {
    Take(parser_->Push(delta.content), news);
    Take(parser_->Finish(), news);
  } else {
    news.content = std::move(delta.content);
  }
  return news;
}

}  // namespace fathom
