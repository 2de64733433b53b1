#include "posttrain/rewards/completion.h"

#include <optional>

#include "base/ascii.h"

namespace fathom {
namespace {

constexpr std::string_view kOpen = "<think>", kClose = "</think>";
constexpr std::string_view kOpenAnswer = "<answer>", kCloseAnswer = "</answer>";
constexpr size_t kNone = std::string_view::npos;

bool Holds(std::string_view text, std::string_view part) { return text.find(part) != kNone; }

// What stands between the two, which are all of the text; nothing when they are not there.
std::optional<std::string_view> Between(std::string_view text, std::string_view open,
                                        std::string_view close) {
  text = Trimmed(text);
  if (!text.starts_with(open) || !text.ends_with(close) ||
      text.size() < open.size() + close.size()) {
    return std::nullopt;
  }
  return text.substr(open.size(), text.size() - open.size() - close.size());
}

bool HasTag(std::string_view text) {
  return Holds(text, kOpen) || Holds(text, kClose) || Holds(text, kOpenAnswer) ||
         Holds(text, kCloseAnswer);
}

}  // namespace

CompletionParts SplitCompletion(const Completion& completion) {
  const std::string_view text = completion.text;
  const size_t close = text.rfind(kClose);
  size_t open = text.find(kOpen);
  if (open != kNone && close != kNone && open > close) open = kNone;
  const size_t begin = open == kNone ? 0 : open + kOpen.size();
  if (close != kNone) {
    const size_t thinking = begin <= close ? close - begin : 0;
    return {text.substr(begin, thinking), text.substr(close + kClose.size()), true};
  }
  if (completion.inside_thinking || open != kNone) return {text.substr(begin), {}, false};
  return {{}, text, true};
}

bool HasFormat(const Completion& completion, ThinkFormat format) {
  std::string_view text = Trimmed(completion.text);
  if (!completion.inside_thinking) {
    if (!text.starts_with(kOpen)) return false;
    text.remove_prefix(kOpen.size());
  }
  const size_t close = text.find(kClose);
  if (close == kNone) return false;
  const std::string_view thinking = text.substr(0, close);
  std::string_view answer = text.substr(close + kClose.size());
  if (format == ThinkFormat::kThinkAnswer) {
    const auto inner = Between(answer, kOpenAnswer, kCloseAnswer);
    if (!inner) return false;
    answer = *inner;
  }
  return !HasTag(thinking) && !HasTag(answer) && !Trimmed(thinking).empty() &&
         !Trimmed(answer).empty();
}

}  // namespace fathom
