#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "text/byte_level.h"
#include "text/tokenizer.h"

namespace fathom {
namespace {

constexpr std::string_view kHint =
    "supported: byte-level BPE behind Split steps, as DeepSeek-V3's tokenizer.json has it";

// Ids by the way the file writes the token.
using IdsByKey = std::unordered_map<std::string_view, int32_t>;

// Keys that nobody has looked at could change the ids.
void RequireKnownKeys(const JsonValue& object, std::initializer_list<std::string_view> known) {
  for (const auto& [key, value] : object.Object()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      throw Error(value.path(), "this key is not known", kHint);
    }
  }
}

void RequireNull(const JsonValue& object, std::string_view key) {
  if (const auto value = object.Find(key)) throw Error(value->path(), "is not supported", kHint);
}

void RequireFalse(const JsonValue& object, std::string_view key) {
  if (object.BoolOr(key, false)) {
    throw Error(object.At(key).path(), "true is not supported", kHint);
  }
}

void RequireType(const JsonValue& object, std::string_view type) {
  const JsonValue found = object.At("type");
  if (found.String() != type) {
    throw Error(found.path(), fmt::format("'{}' is not supported here", found.String()), kHint);
  }
}

void CheckNormalizer(const JsonValue& root) {
  const auto normalizer = root.Find("normalizer");
  if (!normalizer) return;
  RequireType(*normalizer, "Sequence");
  if (!normalizer->At("normalizers").Array().empty()) {
    throw Error(normalizer->path(), "normalizers are not supported", kHint);
  }
}

// Appends the pattern of a Split; true when the step is the ByteLevel that has to come last.
bool ReadPreTokenizerStep(const JsonValue& step, std::vector<std::string>& patterns) {
  if (step.At("type").String() == "ByteLevel") {
    // Both default to true in files that leave them out.
    for (const std::string_view key : {"add_prefix_space", "use_regex"}) {
      if (step.BoolOr(key, true)) {
        throw Error(fmt::format("{}.{}", step.path(), key), "true is not supported", kHint);
      }
    }
    return true;
  }
  RequireType(step, "Split");
  const JsonValue behavior = step.At("behavior");
  if (behavior.String() != "Isolated") {
    throw Error(behavior.path(), fmt::format("'{}' is not supported", behavior.String()), kHint);
  }
  // `invert` swaps what is a match and what is between; Isolated treats both alike.
  const JsonValue pattern = step.At("pattern");
  RequireKnownKeys(pattern, {"Regex"});
  patterns.emplace_back(pattern.At("Regex").String());
  return false;
}

PreTokenizer ReadPreTokenizer(const JsonValue& root) {
  const JsonValue pre_tokenizer = root.At("pre_tokenizer");
  std::vector<std::string> patterns;
  bool byte_level = false;
  if (pre_tokenizer.At("type").String() == "Sequence") {
    for (const JsonValue& step : pre_tokenizer.At("pretokenizers").Array()) {
      if (byte_level) throw Error(step.path(), "a step after ByteLevel is not supported", kHint);
      byte_level = ReadPreTokenizerStep(step, patterns);
    }
  } else {
    byte_level = ReadPreTokenizerStep(pre_tokenizer, patterns);
  }
  if (!byte_level) throw Error(pre_tokenizer.path(), "the last step is not ByteLevel", kHint);
  return PreTokenizer(std::move(patterns), pre_tokenizer.path());
}

std::vector<VocabularyToken> ReadVocabulary(const JsonValue& model, IdsByKey& ids) {
  const auto members = model.At("vocab").Object();
  // A file can name any id; a vocabulary has few holes.
  const auto limit = static_cast<int64_t>(2 * members.size() + 65536);
  std::vector<VocabularyToken> tokens;
  for (const auto& [key, value] : members) {
    const int64_t id = value.Int();
    if (id < 0 || id >= limit) {
      throw Error(value.path(), fmt::format("the id {} is out of bounds", id));
    }
    if (static_cast<size_t>(id) >= tokens.size()) tokens.resize(id + 1);
    VocabularyToken& token = tokens[id];
    if (token.kind != VocabularyToken::Kind::kNone) {
      throw Error(value.path(), fmt::format("another token has the id {} too", id));
    }
    if (!ids.emplace(key, static_cast<int32_t>(id)).second) {
      throw Error(value.path(), "the token occurs twice");
    }
    if (auto bytes = PrintableToBytes(key)) {
      token = {std::move(*bytes), VocabularyToken::Kind::kBytes};
    } else {
      token = {std::string(key), VocabularyToken::Kind::kLiteral};
    }
  }
  return tokens;
}

// "left right" or ["left", "right"].
std::vector<Merge> ReadMerges(const JsonValue& model, const IdsByKey& ids) {
  const auto rows = model.At("merges").Array();
  std::vector<Merge> merges;
  merges.reserve(rows.size());
  std::string joined;
  for (const JsonValue& row : rows) {
    std::string_view left, right;
    if (row.IsString()) {
      const std::string_view text = row.String();
      const size_t space = text.find(' ');
      if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) {
        throw Error(row.path(), fmt::format("'{}' is not two tokens with a space between", text));
      }
      left = text.substr(0, space);
      right = text.substr(space + 1);
    } else {
      const auto pair = row.Array();
      if (pair.size() != 2) throw Error(row.path(), "a merge is of two tokens");
      left = pair[0].String();
      right = pair[1].String();
    }
    joined.assign(left).append(right);
    const auto id_of = [&](std::string_view token) {
      const auto found = ids.find(token);
      if (found == ids.end()) {
        throw Error(row.path(), fmt::format("the vocabulary has no token '{}'", token));
      }
      return found->second;
    };
    merges.push_back({id_of(left), id_of(right), id_of(joined)});
  }
  return merges;
}

std::vector<AddedToken> ReadAddedTokens(const JsonValue& root, const IdsByKey& ids) {
  std::vector<AddedToken> tokens;
  const auto list = root.Find("added_tokens");
  if (!list) return tokens;
  for (const JsonValue& item : list->Array()) {
    RequireKnownKeys(item,
                     {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
    for (const std::string_view flag : {"single_word", "lstrip", "rstrip"})
      RequireFalse(item, flag);
    AddedToken token;
    const int64_t id = item.At("id").Int();
    if (id < 0 || id > INT32_MAX) {
      throw Error(item.At("id").path(), fmt::format("the id {} is out of bounds", id));
    }
    token.id = static_cast<int32_t>(id);
    token.content = item.At("content").String();
    token.special = item.At("special").Bool();
    token.normalized = item.BoolOr("normalized", !token.special);
    const auto in_vocabulary = ids.find(token.content);
    if (in_vocabulary != ids.end() && in_vocabulary->second != token.id) {
      throw Error(item.path(), fmt::format("'{}' has the id {} here and {} in the vocabulary",
                                           token.content, token.id, in_vocabulary->second));
    }
    tokens.push_back(std::move(token));
  }
  return tokens;
}

}  // namespace

Tokenizer Tokenizer::FromJson(std::string_view json, std::string_view where) {
  const JsonDocument document(json, where);
  const JsonValue& root = document.root();
  RequireKnownKeys(root, {"version", "truncation", "padding", "added_tokens", "normalizer",
                          "pre_tokenizer", "post_processor", "decoder", "model"});
  RequireNull(root, "truncation");
  RequireNull(root, "padding");
  CheckNormalizer(root);
  // These two only move offsets and turn bytes back into text.
  if (const auto processor = root.Find("post_processor")) RequireType(*processor, "ByteLevel");
  RequireType(root.At("decoder"), "ByteLevel");

  const JsonValue model = root.At("model");
  RequireKnownKeys(
      model, {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
              "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges"});
  RequireType(model, "BPE");
  RequireNull(model, "dropout");
  RequireNull(model, "unk_token");
  for (const std::string_view key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const auto affix = model.Find(key);
    if (affix && !affix->String().empty()) throw Error(affix->path(), "is not supported", kHint);
  }
  RequireFalse(model, "byte_fallback");
  RequireFalse(model, "ignore_merges");

  PreTokenizer pre_tokenizer = ReadPreTokenizer(root);
  IdsByKey ids;
  std::vector<VocabularyToken> tokens = ReadVocabulary(model, ids);
  std::vector<Merge> merges = ReadMerges(model, ids);
  std::vector<AddedToken> added = ReadAddedTokens(root, ids);
  return Tokenizer(std::move(pre_tokenizer),
                   BpeModel(std::move(tokens), std::move(merges), model.path()), std::move(added),
                   where);
}

Tokenizer Tokenizer::Load(const std::filesystem::path& path) {
  std::error_code ignored;  // what is wrong with the path, opening it tells
  const bool directory = std::filesystem::is_directory(path, ignored);
  const auto file = directory ? path / "tokenizer.json" : path;
  const MappedFile mapped(file);
  return FromJson(mapped.text(), file.string());
}

std::string Tokenizer::ToJson() const {
  using Json = nlohmann::ordered_json;
  const auto written = [](const VocabularyToken& token) {
    return token.kind == VocabularyToken::Kind::kBytes ? BytesToPrintable(token.bytes)
                                                       : token.bytes;
  };
  Json added = Json::array();
  for (const AddedToken& token : added_) {
    added.push_back({{"id", token.id},
                     {"content", token.content},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", token.normalized},
                     {"special", token.special}});
  }
  Json steps = Json::array();
  for (const std::string& pattern : pre_tokenizer_.patterns()) {
    steps.push_back({{"type", "Split"},
                     {"pattern", {{"Regex", pattern}}},
                     {"behavior", "Isolated"},
                     {"invert", false}});
  }
  steps.push_back({{"type", "ByteLevel"},
                   {"add_prefix_space", false},
                   {"trim_offsets", true},
                   {"use_regex", false}});
  std::vector<std::string> keys;
  // The members of the vocabulary are set one by one: a lookup for each, as ordered_json makes
  // it, would be quadratic.
  Json::object_t vocabulary;
  for (size_t id = 0; id < model_->tokens().size(); ++id) {
    const VocabularyToken& token = model_->tokens()[id];
    keys.push_back(written(token));
    if (token.kind == VocabularyToken::Kind::kNone) continue;
    vocabulary.Container::emplace_back(keys.back(), id);
  }
  Json merges = Json::array();
  for (const Merge& merge : model_->merges()) {
    merges.push_back(keys[merge.left] + " " + keys[merge.right]);
  }
  Json root = {{"version", "1.0"},
               {"truncation", nullptr},
               {"padding", nullptr},
               {"added_tokens", std::move(added)},
               {"normalizer", nullptr},
               {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}}},
               {"post_processor", nullptr},
               {"decoder",
                {{"type", "ByteLevel"},
                 {"add_prefix_space", false},
                 {"trim_offsets", true},
                 {"use_regex", false}}},
               {"model",
                {{"type", "BPE"},
                 {"dropout", nullptr},
                 {"unk_token", nullptr},
                 {"continuing_subword_prefix", nullptr},
                 {"end_of_word_suffix", nullptr},
                 {"fuse_unk", false},
                 {"byte_fallback", false},
                 {"vocab", nullptr},
                 {"merges", std::move(merges)}}}};
  root["model"]["vocab"] = std::move(vocabulary);
  return root.dump(1);
}

void Tokenizer::Save(const std::filesystem::path& path) const {
  WriteFileAtomically(path, ToJson());
}

}  // namespace fathom
