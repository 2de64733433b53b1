#include "posttrain/sft/conversation.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "text/chat/prompt.h"
#include "text/special_tokens.h"

namespace fathom {
namespace {

using jinja::Data;
using jinja::Text;

// The name of a message's thoughts differs; a template knows one of them.
const std::string* Reasoning(const Data& message) {
  for (const std::string_view name : {"reasoning_content", "reasoning", "thinking"}) {
    const Data* found = message.Find(name);
    if (found != nullptr && found->IsString() && !found->string.empty()) return &found->string;
  }
  return nullptr;
}

bool HasToolCalls(const Data& message) {
  const Data* calls = message.Find("tool_calls");
  return calls != nullptr && calls->IsArray() && !calls->items.empty();
}

Data First(const Data& messages, size_t count) {
  Data first = Data::Array();
  first.items.assign(messages.items.begin(),
                     messages.items.begin() + static_cast<std::ptrdiff_t>(count));
  return first;
}

bool IsAnswer(const Data& message) {
  const Data* role = message.Find("role");
  return role != nullptr && role->IsString() && role->string == "assistant";
}

// OpenAI's fine-tuning format: 0 or 1.
bool IsLearnt(const Data& message, std::string_view where) {
  const Data* weight = message.Find("weight");
  if (weight == nullptr || weight->IsNull()) return true;
  const bool whole = weight->kind == Data::Kind::kInt;
  const double value = whole                                ? static_cast<double>(weight->integer)
                       : weight->kind == Data::Kind::kFloat ? weight->number
                                                            : -1;
  if (value != 0 && value != 1) throw Error(where, "weight is neither 0 nor 1");
  return value == 1;
}

bool IsEmpty(const Data* text) {
  return text == nullptr || text->IsNull() || (text->IsString() && text->string.empty());
}

// Rows that teach nothing, or to answer nothing, are somebody's mistake.
void CheckAnswers(const Data& messages, std::string_view path) {
  bool answered = false;
  for (size_t i = 0; i < messages.items.size(); ++i) {
    const Data& message = messages.items[i];
    if (!IsAnswer(message)) continue;
    answered = true;
    const std::string where = fmt::format("{}[{}]", path, i);
    const bool says =
        !IsEmpty(message.Find("content")) || Reasoning(message) != nullptr || HasToolCalls(message);
    if (says || !IsLearnt(message, where)) continue;
    throw Error(where, "is an empty answer, which would be learnt",
                "take the row out, or give the message a weight of 0");
  }
  if (!answered) {
    throw Error(path, "no message is an answer: none has the role assistant",
                "take the row out; skip_bad_lines = true of the source passes over such rows");
  }
}

bool StartsWith(const std::vector<int32_t>& ids, const std::vector<int32_t>& start) {
  return start.size() <= ids.size() && std::equal(start.begin(), start.end(), ids.begin());
}

}  // namespace

void LabelledTokens::Append(const std::vector<int32_t>& more, bool target) {
  ids.insert(ids.end(), more.begin(), more.end());
  targets.resize(ids.size(), target);
}

int64_t LabelledTokens::TargetCount() const {
  return std::count(targets.begin(), targets.end(), true);
}

ConversationEncoder::ConversationEncoder(const ChatTemplate& chat, const Tokenizer& tokenizer,
                                         LearntTurns turns)
    : chat_(chat), tokenizer_(tokenizer), turns_(turns), stops_(chat.StopIds(tokenizer)) {
  // A model may have several; what the template writes behind an answer is the one to learn.
  const ChatMessage messages[] = {{.role = "user", .content = "a"},
                                  {.role = "assistant", .content = "b"}};
  const std::vector<int32_t> ids =
      chat.Encode(tokenizer, messages, {.generation_prompt = false, .now = 0});
  for (const int32_t id : ids) {
    if (std::find(stops_.begin(), stops_.end(), id) != stops_.end()) end_ = id;
  }
  if (end_ < 0 && !stops_.empty()) end_ = stops_.front();
  if (end_ < 0) {
    throw Error("chat template", "has no token that ends an answer",
                "eos_token of tokenizer_config.json names it");
  }
}

Text ConversationEncoder::Answer(const Data& messages, size_t turn, const Text& prompt,
                                 const ChatOptions& options, std::string_view where) const {
  const Data& message = messages.items[turn];
  if (HasToolCalls(message)) {
    // How calls are written is the template's business.
    ChatOptions whole = options;
    whole.generation_prompt = false;
    const Text text = chat_.Render(First(messages, turn + 1), whole);
    const bool goes_on = text.bytes().starts_with(prompt.bytes());
    const std::string* reasoning = Reasoning(message);
    const bool complete =
        reasoning == nullptr || text.bytes().find(*reasoning, prompt.size()) != std::string::npos;
    if (!goes_on || !complete) {
      throw Error(where, "the chat template does not write these tool calls behind its own prompt",
                  "leave reasoning_content out where tools are called, or set weight to 0");
    }
    return text.Slice(prompt.size(), text.size());
  }
  Text answer;
  const std::string* reasoning = Reasoning(message);
  const bool inside = EndsInsideThinking(prompt);
  if (reasoning != nullptr && !inside) answer.Append(fmt::format("{}\n", kThinkBegin), true);
  if (reasoning != nullptr) answer.Append(*reasoning, false);
  if (reasoning != nullptr || inside) answer.Append(fmt::format("\n{}\n\n", kThinkEnd), true);
  const Data* content = message.Find("content");
  if (content != nullptr && content->IsString()) answer.Append(content->string, false);
  return answer;
}

std::vector<LabelledTokens> ConversationEncoder::Encode(const JsonValue& conversation) const {
  const JsonValue list = conversation.At("messages");
  ChatOptions options{.now = 0};
  if (const auto tools = conversation.Find("tools")) {
    tools->Array();
    options.tools = Data::FromJson(*tools);
  }
  const Data messages = ConversationFromJson(list);
  CheckAnswers(messages, list.path());
  return Encode(messages, options, list.path());
}

std::vector<LabelledTokens> ConversationEncoder::Encode(const Data& given,
                                                        const ChatOptions& options,
                                                        std::string_view path) const {
  const Data messages = NormalizeMessages(given, chat_.form());
  size_t last = messages.items.size();
  for (size_t i = 0; i < messages.items.size(); ++i) {
    if (IsAnswer(messages.items[i])) last = i;
  }
  std::vector<LabelledTokens> sequences;
  LabelledTokens sequence;
  const auto finish = [&] {
    if (sequence.TargetCount() > 0) sequences.push_back(std::move(sequence));
    sequence = {};
  };
  for (size_t i = 0; i < messages.items.size(); ++i) {
    const Data& message = messages.items[i];
    if (!IsAnswer(message)) continue;
    const std::string where = fmt::format("{}[{}]", path, i);
    const bool learnt = IsLearnt(message, where) && (turns_ == LearntTurns::kAll || i == last);
    // What is not learnt is part of a later prompt.
    if (!learnt) continue;
    ChatOptions turn = options;
    turn.think = Reasoning(message) != nullptr;
    const Text prompt = chat_.Render(First(messages, i), turn);
    const std::vector<int32_t> prompt_ids = EncodePrompt(tokenizer_, prompt);
    std::vector<int32_t> answer =
        EncodePrompt(tokenizer_, Answer(messages, i, prompt, turn, where));
    const auto stop =
        std::find_first_of(answer.begin(), answer.end(), stops_.begin(), stops_.end());
    answer.erase(stop, answer.end());
    answer.push_back(end_);
    if (!sequence.ids.empty() && !StartsWith(prompt_ids, sequence.ids)) finish();
    const auto known = static_cast<std::ptrdiff_t>(sequence.ids.size());
    sequence.Append({prompt_ids.begin() + known, prompt_ids.end()}, false);
    sequence.Append(answer, true);
  }
  finish();
  return sequences;
}

uint64_t ConversationEncoder::fingerprint() const {
  const ChatMessage messages[] = {{.role = "system", .content = "s"},
                                  {.role = "user", .content = "u"},
                                  {.role = "assistant", .content = "a", .reasoning = "r"},
                                  {.role = "user", .content = "v"}};
  Hash64 hash;
  for (const int32_t id : chat_.Encode(tokenizer_, messages, {.now = 0}))
    hash.UpdateField(static_cast<uint64_t>(id));
  hash.UpdateField(static_cast<uint64_t>(end_));
  hash.UpdateField(static_cast<uint64_t>(turns_));
  return hash.Digest();
}

}  // namespace fathom
