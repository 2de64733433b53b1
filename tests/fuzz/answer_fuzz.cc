// What a model writes, in the pieces that tokens are: thoughts, stops and tool calls are taken
// apart the same however it is cut.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "text/chat/reasoning_parts.h"
#include "text/chat/stop_finder.h"
#include "text/chat/tool_call_parser.h"

namespace fathom {
namespace {

struct Outcome {
  std::string reasoning, content, calls;
  bool stopped = false;
  bool operator==(const Outcome&) const = default;
};

Outcome Read(std::string_view text, size_t piece, bool inside_thinking, ToolCallForm form) {
  StopFinder stops({"</s>", "<|", "\n\n\n"});
  ReasoningParts parts(inside_thinking);
  ToolCallParser calls(form);
  Outcome outcome;
  const auto take_calls = [&](ToolCallParser::Delta delta) {
    outcome.content += delta.text;
    for (const ToolCall& call : delta.calls) {
      outcome.calls += call.name + '(' + call.arguments + ')';
    }
  };
  const auto take = [&](const ReasoningParts::Delta& delta) {
    outcome.reasoning += delta.reasoning;
    take_calls(calls.Push(delta.content));
  };
  for (size_t at = 0; at < text.size() && !stops.found(); at += piece) {
    take(parts.Push(stops.Push(text.substr(at, piece))));
  }
  outcome.stopped = stops.found();
  if (!stops.found()) take(parts.Push(stops.Finish()));
  take(parts.Finish());
  take_calls(calls.Finish());
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
