#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "text/byte_level.h"
#include "text/pipeline_json.h"
#include "text/tokenizer.h"

namespace fathom {
namespace {

// Ids by the way the file writes the token.
using IdsByKey = std::unordered_map<std::string_view, int32_t>;

void RequireNull(const JsonValue& object, std::string_view key) {
  if (const auto value = object.Find(key))
    throw Error(value->path(), "is not supported", kTokenizerHint);
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
    AddedToken token;
    token.single_word = item.BoolOr("single_word", false);
    token.lstrip = item.BoolOr("lstrip", false);
    token.rstrip = item.BoolOr("rstrip", false);
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
  CheckDecoder(root);

  const JsonValue model = root.At("model");
  RequireKnownKeys(
      model, {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
              "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges"});
  if (const auto type = model.Find("type"); type && type->String() != "BPE") {
    throw Error(type->path(), fmt::format("'{}' is not supported", type->String()), kTokenizerHint);
  }
  if (model.NumberOr("dropout", 0) != 0) {
    throw Error(model.At("dropout").path(), "is not supported: the ids would be random",
                kTokenizerHint);
  }
  for (const std::string_view key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const auto affix = model.Find(key);
    if (affix && !affix->String().empty()) {
      throw Error(affix->path(), "is not supported", kTokenizerHint);
    }
  }
  // unk_token, fuse_unk and byte_fallback are for characters that are no token; here every byte is
  // one (BpeModel makes sure of it).
  const bool whole_words = model.BoolOr("ignore_merges", false);

  TokenizerExtras extras;
  extras.normalizer = ReadNormalizer(root);
  extras.surrounding = ReadPostProcessor(root);
  if (const auto processor = root.Find("post_processor")) {
    extras.post_processor_json = processor->Minified();
  }
  PreTokenizer pre_tokenizer = ReadPreTokenizer(root);
  IdsByKey ids;
  std::vector<VocabularyToken> tokens = ReadVocabulary(model, ids);
  std::vector<Merge> merges = ReadMerges(model, ids);
  std::vector<AddedToken> added = ReadAddedTokens(root, ids);
  for (const AddedToken& token : added) {
    if (token.special && ids.contains(token.content)) tokens[token.id].special = true;
  }
  return Tokenizer(std::move(pre_tokenizer),
                   BpeModel(std::move(tokens), std::move(merges), model.path(), whole_words),
                   std::move(added), where, std::move(extras));
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
                     {"single_word", token.single_word},
                     {"lstrip", token.lstrip},
                     {"rstrip", token.rstrip},
                     {"normalized", token.normalized},
                     {"special", token.special}});
  }
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
  // "left right", which every version of the original reads, unless a token has a space in it.
  const bool as_pairs = std::any_of(keys.begin(), keys.end(), [](const std::string& key) {
    return key.find(' ') != std::string::npos;
  });
  Json merges = Json::array();
  for (const Merge& merge : model_->merges()) {
    const std::string &left = keys[merge.left], &right = keys[merge.right];
    merges.push_back(as_pairs ? Json::array({left, right})
                              : Json(fmt::format("{} {}", left, right)));
  }
  Json root = {{"version", "1.0"},
               {"truncation", nullptr},
               {"padding", nullptr},
               {"added_tokens", std::move(added)},
               {"normalizer", WriteNormalizer(extras_.normalizer)},
               {"pre_tokenizer", WritePreTokenizer(pre_tokenizer_)},
               {"post_processor", extras_.post_processor_json.empty()
                                      ? Json(nullptr)
                                      : Json::parse(extras_.post_processor_json)},
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
                 {"ignore_merges", model_->whole_words()},
                 {"vocab", nullptr},
                 {"merges", std::move(merges)}}}};
  root["model"]["vocab"] = std::move(vocabulary);
  return root.dump(1);
}

void Tokenizer::Save(const std::filesystem::path& path) const {
  WriteFileAtomically(path, ToJson());
}

}  // namespace fathom
