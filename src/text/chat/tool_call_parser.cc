#include "text/chat/tool_call_parser.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/json.h"

namespace fathom {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

std::string_view Trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

// The length of the longest end of `text` that `mark` could begin with.
size_t HeldTail(std::string_view text, std::string_view mark) {
  if (mark.empty()) return 0;
  size_t tail = std::min(mark.size() - 1, text.size());
  while (!mark.starts_with(text.substr(text.size() - tail))) --tail;
  return tail;
}

bool IsObject(std::string_view text) {
  try {
    return JsonDocument(text, "arguments").root().IsObject();
  } catch (const Error&) {
    return false;
  }
}

// Without what stands before or after it, white space aside; nothing when that does not.
std::optional<std::string_view> Without(std::string_view text, std::string_view before,
                                        std::string_view after) {
  text = Trimmed(text);
  before = Trimmed(before);
  after = Trimmed(after);
  if (text.size() < before.size() + after.size() || !text.starts_with(before) ||
      !text.ends_with(after)) {
    return std::nullopt;
  }
  return Trimmed(text.substr(before.size(), text.size() - before.size() - after.size()));
}

}  // namespace

ToolCallParser::Delta ToolCallParser::Push(std::string_view text) {
  held_ += text;
  Delta delta;
  Take(delta, false);
  return delta;
}

ToolCallParser::Delta ToolCallParser::Finish() {
  Delta delta;
  Take(delta, true);
  if (!called_) delta.text += std::exchange(space_, {});
  return delta;
}

void ToolCallParser::PutText(std::string_view text, Delta& delta) {
  // White space between calls, and around them, is none of the answer's.
  const size_t end = text.find_last_not_of(kSpace);
  if (end == text.npos) {
    space_ += text;
    return;
  }
  delta.text += std::exchange(space_, {});
  delta.text += text.substr(0, end + 1);
  space_ = text.substr(end + 1);
}

void ToolCallParser::Take(Delta& delta, bool at_end) {
  for (;;) {
    const size_t call = held_.find(marks_.call_begin);
    size_t begin = marks_.begin.empty() ? call : std::min(call, held_.find(marks_.begin));
    if (called_ && !marks_.end.empty()) {
      // After the last one.
      const size_t end = held_.find(marks_.end);
      if (end < begin) {
        PutText(std::string_view(held_).substr(0, end), delta);
        Drop(end + marks_.end.size());
        continue;
      }
    }
    if (begin == held_.npos) {
      size_t tail = 0;
      if (!at_end) {
        for (const std::string_view mark : {marks_.begin, marks_.call_begin, marks_.end})
          tail = std::max(tail, HeldTail(held_, mark));
      }
      PutText(std::string_view(held_).substr(0, held_.size() - tail), delta);
      Drop(held_.size() - tail);
      return;
    }
    PutText(std::string_view(held_).substr(0, begin), delta);
    if (begin > 0) Drop(begin);
    if (!TakeCall(delta, at_end)) return;
  }
}

bool ToolCallParser::TakeCall(Delta& delta, bool at_end) {
  const bool is_first = !marks_.begin.empty() && held_.starts_with(marks_.begin);
  const size_t skipped = is_first ? marks_.begin.size() : 0;
  const size_t begin = std::min(held_.find_first_not_of(kSpace, skipped), held_.size());
  const std::string_view rest = std::string_view(held_).substr(begin);
  if (rest.starts_with(marks_.call_begin)) {
    const size_t inside = begin + marks_.call_begin.size();
    tried_ = std::max(tried_, inside);
    for (; tries_ < kMostTries; ++tries_) {
      const size_t end = std::min(held_.find(marks_.call_end, tried_), held_.size());
      if (end == held_.size() && !at_end) {
        // A mark may begin in what there is.
        tried_ = std::max(tried_, end - HeldTail(held_, marks_.call_end));
        return false;
      }
      ToolCall call;
      if (Read(std::string_view(held_).substr(inside, end - inside), call)) {
        delta.calls.push_back(std::move(call));
        called_ = true;
        space_.clear();
        Drop(std::min(end + marks_.call_end.size(), held_.size()));
        return true;
      }
      if (end == held_.size()) break;
      tried_ = end + marks_.call_end.size();
    }
  } else if (!at_end && marks_.call_begin.starts_with(rest)) {
    return false;
  }
  // No call: its mark is text, and what comes after it is looked at afresh.
  const size_t length = is_first ? marks_.begin.size() : marks_.call_begin.size();
  PutText(std::string_view(held_).substr(0, length), delta);
  Drop(length);
  return true;
}

void ToolCallParser::Drop(size_t length) {
  held_.erase(0, length);
  tried_ = 0;
  tries_ = 0;
}

bool ToolCallParser::Read(std::string_view inside, ToolCall& call) const {
  if (Trimmed(marks_.before_name).starts_with('{')) {
    // The whole of it is JSON, in any spelling.
    try {
      const JsonDocument document(Trimmed(inside), "call");
      call.name = document.root().At("name").String();
      const auto arguments = document.root().Find("arguments");
      call.arguments = arguments ? arguments->Minified() : "{}";
    } catch (const Error&) {
      return false;
    }
    return !call.name.empty() && IsObject(call.arguments);
  }
  const size_t separator = inside.find(Trimmed(marks_.after_name));
  const std::string_view after_name = Trimmed(marks_.after_name);
  if (separator == inside.npos) return false;
  const auto name = Without(inside.substr(0, separator), marks_.before_name, "");
  const auto arguments =
      Without(inside.substr(separator + after_name.size()), "", marks_.after_arguments);
  if (!name || name->empty() || !arguments || !IsObject(*arguments)) return false;
  call.name = *name;
  call.arguments = *arguments;
  return true;
}

}  // namespace fathom
