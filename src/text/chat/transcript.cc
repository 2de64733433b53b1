#include "text/chat/transcript.h"

#include <algorithm>

#include "base/error.h"
#include "text/chat/prompt.h"

namespace fathom {
namespace {

bool StartsWith(const jinja::Text& text, const jinja::Text& start) {
  if (!text.bytes().starts_with(start.bytes())) return false;
  const jinja::Text same = text.Slice(0, start.size());
  return std::ranges::equal(same.runs(), start.runs(),
                            [](const jinja::Text::Run& a, const jinja::Text::Run& b) {
                              return a.end == b.end && a.trusted == b.trusted;
                            });
}

}  // namespace

std::vector<int32_t> ChatTranscript::Encode(const jinja::Text& prompt) {
  while (!states_.empty() && !StartsWith(prompt, states_.back().text)) states_.pop_back();
  std::vector<int32_t> ids;
  size_t known = 0;
  if (!states_.empty()) {
    ids = states_.back().ids;
    known = states_.back().text.size();
  }
  const std::vector<int32_t> rest = EncodePrompt(tokenizer_, prompt.Slice(known, prompt.size()));
  ids.insert(ids.end(), rest.begin(), rest.end());
  states_.push_back({prompt, ids});
  return ids;
}

void ChatTranscript::Append(std::span<const int32_t> ids, std::string_view text) {
  FATHOM_CHECK(!states_.empty(), "an answer follows a prompt");
  State state = states_.back();
  state.text.Append(text, /*trusted=*/false);
  state.ids.insert(state.ids.end(), ids.begin(), ids.end());
  states_.push_back(std::move(state));
}

}  // namespace fathom
