#include "text/pipeline_json.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"

namespace fathom {
namespace {

using Json = nlohmann::ordered_json;
using Kind = PreTokenizerStep::Kind;

// Sequences can hold sequences.
constexpr int kMaxNesting = 8;

constexpr std::pair<std::string_view, SplitBehavior> kBehaviors[] = {
    {"Removed", SplitBehavior::kRemoved},
    {"Isolated", SplitBehavior::kIsolated},
    {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
    {"MergedWithNext", SplitBehavior::kMergedWithNext},
    {"Contiguous", SplitBehavior::kContiguous},
};

constexpr std::pair<std::string_view, Normalizer::Form> kForms[] = {
    {"NFC", Normalizer::Form::kNfc},
    {"NFD", Normalizer::Form::kNfd},
    {"NFKC", Normalizer::Form::kNfkc},
    {"NFKD", Normalizer::Form::kNfkd},
};

template <typename Table>
auto FindName(const Table& table, const JsonValue& name) {
  for (const auto& [key, value] : table) {
    if (key == name.String()) return value;
  }
  throw Error(name.path(), fmt::format("'{}' is not supported", name.String()), kTokenizerHint);
}

template <typename Table, typename Value>
std::string_view NameOf(const Table& table, Value wanted) {
  for (const auto& [key, value] : table) {
    if (value == wanted) return key;
  }
  return {};
}

// Calls visit(step) for an object with a `type`, or for each of those in a Sequence, whose steps
// have the key `list`.
template <typename Visit>
void ForEachStep(const JsonValue& value, std::string_view list, const Visit& visit, int depth = 0) {
  if (value.At("type").String() != "Sequence") return visit(value);
  RequireKnownKeys(value, {"type", list});
  if (depth == kMaxNesting) throw Error(value.path(), "sequences are nested too deeply");
  for (const JsonValue& step : value.At(list).Array()) ForEachStep(step, list, visit, depth + 1);
}

PreTokenizerStep ReadSplit(const JsonValue& step) {
  RequireKnownKeys(step, {"type", "pattern", "behavior", "invert"});
  PreTokenizerStep split;
  const JsonValue pattern = step.At("pattern");
  RequireKnownKeys(pattern, {"Regex", "String"});
  const bool regex = pattern.Find("Regex").has_value();
  split.kind = regex ? Kind::kRegex : Kind::kLiteral;
  split.pattern = pattern.At(regex ? "Regex" : "String").String();
  split.behavior = FindName(kBehaviors, step.At("behavior"));
  split.invert = step.BoolOr("invert", false);
  return split;
}

PreTokenizerStep ReadStep(const JsonValue& step) {
  const JsonValue type = step.At("type");
  if (type.String() == "Split") return ReadSplit(step);
  if (type.String() == "Digits") {
    RequireKnownKeys(step, {"type", "individual_digits"});
    return PreTokenizerStep::Digits(step.BoolOr("individual_digits", false));
  }
  if (type.String() == "Punctuation") {
    RequireKnownKeys(step, {"type", "behavior"});
    const auto behavior = step.Find("behavior");
    return {Kind::kPunctuation, "",
            behavior ? FindName(kBehaviors, *behavior) : SplitBehavior::kIsolated, false};
  }
  if (type.String() == "Whitespace") {
    RequireKnownKeys(step, {"type"});
    return {Kind::kWhitespace, "", SplitBehavior::kRemoved, true};
  }
  if (type.String() == "WhitespaceSplit") {
    RequireKnownKeys(step, {"type"});
    return {Kind::kWhitespaceSplit, "", SplitBehavior::kRemoved, false};
  }
  throw Error(type.path(), fmt::format("'{}' is not supported", type.String()), kTokenizerHint);
}

int32_t ReadId(const JsonValue& value) {
  const int64_t id = value.Int();
  if (id < 0 || id > INT32_MAX) {
    throw Error(value.path(), fmt::format("the id {} is out of bounds", id));
  }
  return static_cast<int32_t>(id);
}

SurroundingTokens ReadTemplate(const JsonValue& processor) {
  RequireKnownKeys(processor, {"type", "single", "pair", "special_tokens"});
  SurroundingTokens tokens;
  bool text_seen = false;
  const JsonValue single = processor.At("single");
  for (const JsonValue& piece : single.Array()) {
    RequireKnownKeys(piece, {"Sequence", "SpecialToken"});
    if (const auto sequence = piece.Find("Sequence")) {
      if (text_seen || sequence->At("id").String() != "A") {
        throw Error(sequence->path(), "a template has the text A once");
      }
      text_seen = true;
      continue;
    }
    const JsonValue name = piece.At("SpecialToken").At("id");
    const JsonValue special = processor.At("special_tokens").At(name.String());
    for (const JsonValue& id : special.At("ids").Array()) {
      (text_seen ? tokens.after : tokens.before).push_back(ReadId(id));
    }
  }
  if (!text_seen) throw Error(single.path(), "a template has the text A once");
  return tokens;
}

// ["token", id]
int32_t ReadNamedId(const JsonValue& pair) {
  const auto parts = pair.Array();
  if (parts.size() != 2) throw Error(pair.path(), "expected a token and its id");
  return ReadId(parts[1]);
}

SurroundingTokens ReadProcessor(const JsonValue& processor) {
  const JsonValue type = processor.At("type");
  if (type.String() == "ByteLevel") return {};
  if (type.String() == "TemplateProcessing") return ReadTemplate(processor);
  if (type.String() == "BertProcessing" || type.String() == "RobertaProcessing") {
    return {{ReadNamedId(processor.At("cls"))}, {ReadNamedId(processor.At("sep"))}};
  }
  throw Error(type.path(), fmt::format("'{}' is not supported", type.String()), kTokenizerHint);
}

}  // namespace

void RequireKnownKeys(const JsonValue& object, std::initializer_list<std::string_view> known) {
  for (const auto& [key, value] : object.Object()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      throw Error(value.path(), "this key is not known", kTokenizerHint);
    }
  }
}

Normalizer ReadNormalizer(const JsonValue& root) {
  std::vector<Normalizer::Form> forms;
  if (const auto normalizer = root.Find("normalizer")) {
    ForEachStep(*normalizer, "normalizers", [&](const JsonValue& step) {
      forms.push_back(FindName(kForms, step.At("type")));
      RequireKnownKeys(step, {"type"});
      if (forms.size() > 16) throw Error(normalizer->path(), "there are more than 16 normalizers");
    });
  }
  return Normalizer(std::move(forms));
}

PreTokenizer ReadPreTokenizer(const JsonValue& root) {
  const JsonValue pre_tokenizer = root.At("pre_tokenizer");
  std::vector<PreTokenizerStep> steps;
  std::optional<ByteLevelStep> byte_level;
  ForEachStep(pre_tokenizer, "pretokenizers", [&](const JsonValue& step) {
    if (byte_level) throw Error(step.path(), "a step after ByteLevel is not supported");
    if (step.At("type").String() != "ByteLevel") {
      steps.push_back(ReadStep(step));
      return;
    }
    RequireKnownKeys(step, {"type", "add_prefix_space", "trim_offsets", "use_regex"});
    // Both are true in files that leave them out.
    byte_level =
        ByteLevelStep{step.BoolOr("add_prefix_space", true), step.BoolOr("use_regex", true)};
  });
  if (!byte_level) {
    throw Error(pre_tokenizer.path(), "the last step is not ByteLevel", kTokenizerHint);
  }
  return PreTokenizer(std::move(steps), *byte_level, pre_tokenizer.path());
}

void CheckDecoder(const JsonValue& root) {
  bool byte_level = false;
  const JsonValue decoder = root.At("decoder");
  ForEachStep(decoder, "decoders", [&](const JsonValue& step) {
    const JsonValue type = step.At("type");
    // Fuse joins what ByteLevel has joined already.
    if (type.String() != "ByteLevel" && type.String() != "Fuse") {
      throw Error(type.path(), fmt::format("'{}' is not supported", type.String()), kTokenizerHint);
    }
    byte_level |= type.String() == "ByteLevel";
  });
  if (!byte_level) throw Error(decoder.path(), "there is no ByteLevel", kTokenizerHint);
}

SurroundingTokens ReadPostProcessor(const JsonValue& root) {
  SurroundingTokens tokens;
  const auto post_processor = root.Find("post_processor");
  if (!post_processor) return tokens;
  ForEachStep(*post_processor, "processors", [&](const JsonValue& step) {
    // Each is put around what the one before it made.
    const SurroundingTokens more = ReadProcessor(step);
    tokens.before.insert(tokens.before.begin(), more.before.begin(), more.before.end());
    tokens.after.insert(tokens.after.end(), more.after.begin(), more.after.end());
  });
  return tokens;
}

Json WriteNormalizer(const Normalizer& normalizer) {
  Json steps = Json::array();
  for (const Normalizer::Form form : normalizer.forms()) {
    steps.push_back({{"type", NameOf(kForms, form)}});
  }
  if (steps.empty()) return nullptr;
  if (steps.size() == 1) return steps[0];
  return {{"type", "Sequence"}, {"normalizers", std::move(steps)}};
}

Json WritePreTokenizer(const PreTokenizer& pre_tokenizer) {
  Json steps = Json::array();
  for (const PreTokenizerStep& step : pre_tokenizer.steps()) {
    const std::string_view behavior = NameOf(kBehaviors, step.behavior);
    switch (step.kind) {
      case Kind::kRegex:
      case Kind::kLiteral:
        steps.push_back(
            {{"type", "Split"},
             {"pattern", {{step.kind == Kind::kRegex ? "Regex" : "String", step.pattern}}},
             {"behavior", behavior},
             {"invert", step.invert}});
        break;
      case Kind::kDigits:
        steps.push_back(
            {{"type", "Digits"}, {"individual_digits", step.behavior == SplitBehavior::kIsolated}});
        break;
      case Kind::kPunctuation:
        steps.push_back({{"type", "Punctuation"}, {"behavior", behavior}});
        break;
      case Kind::kWhitespace:
        steps.push_back({{"type", "Whitespace"}});
        break;
      case Kind::kWhitespaceSplit:
        steps.push_back({{"type", "WhitespaceSplit"}});
        break;
    }
  }
  steps.push_back({{"type", "ByteLevel"},
                   {"add_prefix_space", pre_tokenizer.byte_level().add_prefix_space},
                   {"trim_offsets", true},
                   {"use_regex", pre_tokenizer.byte_level().use_regex}});
  if (steps.size() == 1) return steps[0];
  return {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}};
}

}  // namespace fathom
