// What a model writes, in the pieces that tokens are: thoughts, stops and tool calls are taken
// apart the same however it is cut.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "text/chat/answer_reader.h"
#include "text/chat/stop_finder.h"

namespace fathom {
namespace {

struct Outcome {
  std::string reasoning, content, calls;
  bool stopped = false;
  bool operator==(const Outcome&) const = default;
};

Outcome Read(std::string_view text, size_t piece, bool inside_thinking, ToolCallForm form) {
  StopFinder stops({"</s>", "<|", "\n\n\n"});
  AnswerReader reader(inside_thinking, form, /*several_calls=*/true);
  Outcome outcome;
  const auto take = [&](const AnswerReader::News& news) {
    outcome.reasoning += news.reasoning;
    outcome.content += news.content;
    for (const ToolCall& call : news.calls) outcome.calls += call.name + '(' + call.arguments + ')';
  };
  for (size_t at = 0; at < text.size() && !stops.found(); at += piece) {
    take(reader.Push(stops.Push(text.substr(at, piece))));
  }
  outcome.stopped = stops.found();
  if (!stops.found()) take(reader.Push(stops.Finish()));
  take(reader.Finish());
  return outcome;
}

}  // namespace
}  // namespace fathom

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const bool inside_thinking = (data[0] & 1) != 0;
  constexpr fathom::ToolCallForm kForms[] = {fathom::ToolCallForm::kDeepSeekV3,
                                             fathom::ToolCallForm::kDeepSeekV31,
                                             fathom::ToolCallForm::kQwen};
  const fathom::ToolCallForm form = kForms[(data[0] >> 1) % 3];
  const size_t piece = 1 + data[1] % 16;
  const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  const fathom::Outcome whole = fathom::Read(text, text.size() + 1, inside_thinking, form);
  FATHOM_CHECK(whole == fathom::Read(text, piece, inside_thinking, form));
  return 0;
}
