#include "posttrain/answers/answer_extraction.h"

#include <array>
#include <set>
#include <utility>

#include "base/ascii.h"
#include "base/error.h"
#include "base/nearest.h"
#include "posttrain/answers/math_text.h"

namespace fathom {
namespace {

constexpr std::array<std::pair<AnswerRule, std::string_view>, 7> kRules = {
    {{AnswerRule::kBoxed, "boxed"},
     {AnswerRule::kTags, "tags"},
     {AnswerRule::kHash, "hash"},
     {AnswerRule::kSentence, "sentence"},
     {AnswerRule::kNumber, "number"},
     {AnswerRule::kLine, "line"},
     {AnswerRule::kWhole, "whole"}}};

constexpr size_t kNone = std::string_view::npos;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

std::string_view FirstLine(std::string_view text) { return text.substr(0, text.find('\n')); }

// The last one whose braces close.
std::string_view Boxed(std::string_view text) {
  for (size_t at = text.rfind("\\boxed"); at != kNone;
       at = at == 0 ? kNone : text.rfind("\\boxed", at - 1)) {
    size_t open = at + 6;
    while (open < text.size() && text[open] == ' ') ++open;
    std::string_view content;
    size_t end = 0;
    if (ReadBraces(text, open, content, end)) return content;
    // "\boxed 5"
    if (open < text.size() && (IsDigit(text[open]) || text[open] == '-')) {
      const std::string_view rest = text.substr(open);
      return rest.substr(0, rest.find_first_of(" $\n", 1));
    }
  }
  return {};
}

std::string_view Tagged(std::string_view text) {
  constexpr std::string_view kOpen = "<answer>", kClose = "</answer>";
  const size_t end = text.rfind(kClose);
  if (end == kNone) return {};
  const size_t begin = text.rfind(kOpen, end);
  if (begin == kNone) return {};
  return text.substr(begin + kOpen.size(), end - begin - kOpen.size());
}

std::string_view Hashed(std::string_view text) {
  const size_t at = text.rfind("####");
  return at == kNone ? std::string_view() : FirstLine(text.substr(at + 4));
}

// Up to the end of the sentence or line: a full stop before white space, or before the end.
std::string_view Sentence(std::string_view text) {
  text = FirstLine(text);
  for (size_t at = text.find('.'); at != kNone; at = text.find('.', at + 1)) {
    if (at + 1 == text.size() || text[at + 1] == ' ') return text.substr(0, at);
  }
  return text;
}

std::string_view Said(std::string_view text) {
  const std::string lower = LowerCase(text);
  size_t best = kNone;
  for (const std::string_view phrase : {"answer is", "answer:", "answer =", "answer to"}) {
    const size_t at = lower.rfind(phrase);
    if (at != kNone && (best == kNone || at + phrase.size() > best)) best = at + phrase.size();
  }
  if (best == kNone) return {};
  // "**Answer:** 5", "the answer is: 5"
  const size_t begin = text.find_first_not_of(" :*", best);
  return begin == kNone ? std::string_view() : Sentence(text.substr(begin));
}

// "-1,234.5", "3/4", "$20", "50%".
std::string_view LastNumber(std::string_view text) {
  size_t end = text.size();
  while (end > 0 && !IsDigit(text[end - 1])) --end;
  if (end == 0) return {};
  size_t begin = end;
  while (begin > 0) {
    const char c = text[begin - 1];
    // A comma, point or stroke belongs to the number if a digit stands before it, and a comma only
    // before three digits.
    const bool joins = (c == '.' || c == '/' || c == ',') && begin >= 2 && IsDigit(text[begin - 2]);
    if (!IsDigit(c) && !joins) break;
    if (c == ',' && (begin + 3 > end || !IsDigit(text[begin + 1]) || !IsDigit(text[begin + 2]) ||
                     (begin + 3 < end && IsDigit(text[begin + 3])))) {
      break;
    }
    --begin;
  }
  if (begin > 0 && text[begin - 1] == '.') --begin;
  if (begin > 0 && text[begin - 1] == '-' &&
      (begin == 1 || std::string_view(" \n($={:").find(text[begin - 2]) != kNone)) {
    --begin;
  }
  if (end < text.size() && text[end] == '%') ++end;
  return text.substr(begin, end - begin);
}

std::string_view LastLine(std::string_view text) {
  text = Trimmed(text);
  const size_t at = text.rfind('\n');
  return at == kNone ? text : text.substr(at + 1);
}

std::string_view Find(std::string_view text, AnswerRule rule) {
  switch (rule) {
    case AnswerRule::kBoxed:
      return Boxed(text);
    case AnswerRule::kTags:
      return Tagged(text);
    case AnswerRule::kHash:
      return Hashed(text);
    case AnswerRule::kSentence:
      return Said(text);
    case AnswerRule::kNumber:
      return LastNumber(text);
    case AnswerRule::kLine:
      return LastLine(text);
    case AnswerRule::kWhole:
      break;
  }
  return text;
}

}  // namespace

std::string_view Name(AnswerRule rule) {
  for (const auto& [value, name] : kRules) {
    if (value == rule) return name;
  }
  return "";
}

std::vector<AnswerRule> ParseAnswerRules(std::string_view names, std::string_view where) {
  std::vector<AnswerRule> rules;
  std::set<std::string, std::less<>> known;
  for (const auto& [value, name] : kRules) known.emplace(name);
  while (!names.empty()) {
    const size_t comma = names.find(',');
    const std::string_view word = Trimmed(names.substr(0, comma));
    names = comma == kNone ? std::string_view() : names.substr(comma + 1);
    bool found = false;
    for (const auto& [value, name] : kRules) {
      if (name != word) continue;
      rules.push_back(value);
      found = true;
    }
    if (!found) {
      throw UsageError(
          where, fmt::format("there is no place of an answer '{}'", word),
          NearestHint(word, known, "boxed, tags, hash, sentence, number, line, whole"));
    }
  }
  if (rules.empty()) throw UsageError(where, "names no place of an answer", "boxed, for instance");
  return rules;
}

std::optional<std::string> ExtractAnswer(std::string_view text, std::span<const AnswerRule> rules) {
  for (const AnswerRule rule : rules) {
    const std::string_view found = Trimmed(Find(text, rule));
    if (!found.empty()) return std::string(found);
  }
  return std::nullopt;
}

}  // namespace fathom
