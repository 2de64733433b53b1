#include "posttrain/reward_model/scored_texts.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/error.h"

namespace fathom {
namespace {

using jinja::Data;

constexpr int64_t kHeader = 4;
constexpr int64_t kHalf = int64_t{1} << 16;

void AppendHalves(uint32_t word, std::vector<int32_t>& ids) {
  ids.push_back(static_cast<int32_t>(word >> 16));
  ids.push_back(static_cast<int32_t>(word & 0xFFFF));
}

uint32_t FromHalves(const int32_t* halves) {
  return static_cast<uint32_t>(halves[0]) << 16 | static_cast<uint32_t>(halves[1]);
}

std::string_view RoleOf(const Data& message) {
  const Data* role = message.Find("role");
  return role != nullptr && role->IsString() ? std::string_view(role->string) : "";
}

Data OneMessage(std::string_view role, std::string_view content) {
  const ChatMessage message[] = {{.role = std::string(role), .content = std::string(content)}};
  return ChatMessagesToData(message);
}

// The messages before an answer; nothing when the row has none.
std::optional<Data> PromptOf(const JsonValue& row) {
  for (const char* name : {"prompt", "messages"}) {
    const auto prompt = row.Find(name);
    if (!prompt) continue;
    return prompt->IsString() ? OneMessage("user", prompt->String())
                              : ConversationFromJson(*prompt);
  }
  return std::nullopt;
}

// The conversation that ends with the answer `answer`.
Data Conversation(const JsonValue& row, const JsonValue& answer) {
  Data end =
      answer.IsString() ? OneMessage("assistant", answer.String()) : ConversationFromJson(answer);
  if (end.items.empty()) throw Error(answer.path(), "is an empty list of messages");
  if (RoleOf(end.items[0]) != "assistant") return end;
  std::optional<Data> all = PromptOf(row);
  if (!all) {
    throw Error(row.path(), "has no 'prompt' that its answers belong to",
                "a string, or a list of messages; or answers that are whole conversations");
  }
  all->items.insert(all->items.end(), end.items.begin(), end.items.end());
  return *std::move(all);
}

double LabelOf(const JsonValue& row) {
  const auto safe = row.Find("safe");
  const JsonValue label = safe ? *safe : row.At("label");
  const double value = label.IsBool() ? (label.Bool() ? 1 : 0) : label.Number();
  if (value != 0 && value != 1)
    throw Error(label.path(), fmt::format("{} is no label", value), "0, 1, false or true");
  return value;
}

}  // namespace

ScoredTextEncoder::ScoredTextEncoder(const ChatTemplate& chat, const Tokenizer& tokenizer)
    : encoder_(chat, tokenizer, LearntTurns::kLast) {}

std::vector<int32_t> ScoredTextEncoder::Encode(const Data& messages, const ChatOptions& options,
                                               std::string_view where) const {
  if (messages.items.empty() || RoleOf(messages.items.back()) != "assistant") {
    throw Error(where, "does not end with an answer, which is what is scored",
                "the last message's role has to be assistant");
  }
  std::vector<LabelledTokens> sequences = encoder_.Encode(messages, options, where);
  if (sequences.empty()) throw Error(where, "its last answer has weight 0");
  return std::move(sequences.back().ids);
}

ScoredRow ReadScoredRow(const JsonValue& row, ScoreKind kind, const ScoredTextEncoder& encoder,
                        bool labelled) {
  ScoredRow read;
  ChatOptions options{.now = 0};
  if (const auto tools = row.Find("tools")) {
    tools->Array();
    options.tools = Data::FromJson(*tools);
  }
  const auto add = [&](const Data& conversation, const std::string& where) {
    read.texts.push_back(encoder.Encode(conversation, options, where));
  };
  if (kind == ScoreKind::kPairwise) {
    for (const char* name : {"chosen", "rejected"}) {
      const JsonValue answer = row.At(name);
      add(Conversation(row, answer), answer.path());
    }
    read.value = row.NumberOr("margin", 0);
    if (!(std::abs(read.value) <= 1e6)) throw Error(row.path(), "margin is no sensible number");
    return read;
  }
  if (const auto completion = row.Find("completion")) {
    add(Conversation(row, *completion), completion->path());
  } else {
    const JsonValue messages = row.At("messages");
    add(ConversationFromJson(messages), messages.path());
  }
  if (labelled) read.value = LabelOf(row);
  return read;
}

int64_t ScoredRowEncoder::store_vocabulary() const { return std::max(vocabulary_, kHalf); }

EncodedRow ScoredRowEncoder::Encode(const JsonValue& row) const {
  const ScoredRow scored = ReadScoredRow(row, kind_, texts_);
  EncodedRow encoded;
  std::vector<int32_t> ids;
  AppendHalves(static_cast<uint32_t>(scored.texts[0].size()), ids);
  AppendHalves(std::bit_cast<uint32_t>(static_cast<float>(scored.value)), ids);
  bool fits = true;
  for (const std::vector<int32_t>& text : scored.texts) {
    fits &= static_cast<int64_t>(text.size()) <= limits_.text;
    ids.insert(ids.end(), text.begin(), text.end());
  }
  if (!fits || static_cast<int64_t>(ids.size()) - kHeader > limits_.row) {
    encoded.too_long = 1;
  } else {
    encoded.documents.push_back({.ids = std::move(ids), .bytes = 1});
  }
  return encoded;
}

ScoredRow ReadScoredDocument(const TokenStore& store, uint64_t index) {
  std::vector<int32_t> ids(store.DocumentTokens(index));
  FATHOM_CHECK(ids.size() > kHeader);
  store.Copy(index, 0, ids.size(), ids.data());
  const auto first = static_cast<std::ptrdiff_t>(FromHalves(ids.data()));
  const auto begin = ids.begin() + kHeader;
  FATHOM_CHECK(first >= 1 && first <= ids.end() - begin);
  ScoredRow row{.texts = {{begin, begin + first}},
                .value = std::bit_cast<float>(FromHalves(ids.data() + 2))};
  if (begin + first < ids.end()) row.texts.emplace_back(begin + first, ids.end());
  return row;
}

int64_t ScoredLayout::extra_tokens() const { return kHeader; }

void ScoredLayout::Put(const TokenStore& store, uint64_t index, int64_t row, int64_t column,
                       TokenRows& batch) const {
  const ScoredRow scored = ReadScoredDocument(store, index);
  const int64_t width = batch.length + 1 + batch.depth;
  std::vector<int64_t> ends;
  for (const std::vector<int32_t>& text : scored.texts) {
    const auto length = static_cast<int64_t>(text.size());
    batch.segments.push_back({.row = row, .begin = column, .length = length});
    std::copy(text.begin(), text.end(), batch.tokens.begin() + row * width + column);
    column += length;
    ends.push_back(column - 1);
    batch.targets[static_cast<size_t>(row * batch.length + ends.back())] = 0;
  }
  batch.examples.push_back({.row = row,
                            .end = ends[0],
                            .worse_end = ends.size() > 1 ? ends[1] : -1,
                            .value = scored.value});
}

}  // namespace fathom
