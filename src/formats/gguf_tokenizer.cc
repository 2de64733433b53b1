#include "formats/gguf_tokenizer.h"

#include <fmt/ranges.h>

#include <array>
#include <set>
#include <unordered_map>

#include "base/error.h"
#include "formats/gguf_config.h"
#include "text/byte_level.h"

namespace fathom {
namespace {

// tokenizer.ggml.token_type.
enum TokenType : int64_t { kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5 };

struct Words {
  PreTokenizer pre_tokenizer;
  Normalizer normalizer;
  bool whole_words = false;
};

struct PreTokenizerName {
  std::string_view name;
  Words (*make)();
};

Normalizer Nfc() { return Normalizer({Normalizer::Form::kNfc}); }

// Names of the same words stand together; the first is written.
constexpr PreTokenizerName kNames[] = {
    {"deepseek-v3",
     [] {
       return Words{PreTokenizer::DeepSeekV3(), {}};
     }},
    {"deepseek-llm",
     [] {
       return Words{PreTokenizer::DeepSeekV2(), {}};
     }},
    {"deepseek-coder",
     [] {
       return Words{PreTokenizer::DeepSeekCoder(), {}};
     }},
    {"qwen2",
     [] {
       return Words{PreTokenizer::Qwen2(), Nfc()};
     }},
    {"deepseek-r1-qwen",
     [] {
       return Words{PreTokenizer::Qwen2(), {}};
     }},
    {"llama-bpe",
     [] {
       return Words{PreTokenizer::Llama3(), {}, true};
     }},
    {"llama3",
     [] {
       return Words{PreTokenizer::Llama3(), {}, true};
     }},
    {"llama-v3",
     [] {
       return Words{PreTokenizer::Llama3(), {}, true};
     }},
    {"gpt-2",
     [] {
       return Words{PreTokenizer::Gpt2(), {}};
     }},
};

std::string KnownNames() {
  std::vector<std::string_view> names;
  for (const PreTokenizerName& known : kNames) names.push_back(known.name);
  return fmt::format("known are {}", fmt::join(names, ", "));
}

Words ReadWords(const GgufMetadata& metadata) {
  const GgufValue& pre = metadata.At("tokenizer.ggml.pre");
  for (const PreTokenizerName& known : kNames) {
    if (known.name == pre.String()) return known.make();
  }
  throw Error(pre.where(), fmt::format("'{}' is not supported", pre.String()), KnownNames());
}

class Reader {
 public:
  explicit Reader(const GgufMetadata& metadata)
      : metadata_(metadata),
        tokens_value_(metadata.At("tokenizer.ggml.tokens")),
        texts_(tokens_value_.Strings()) {}

  Tokenizer Read() {
    Words words = ReadWords(metadata_);
    const GgufValue* prefix = metadata_.Find("tokenizer.ggml.add_space_prefix");
    if (prefix != nullptr && prefix->Bool()) throw Error(prefix->where(), "is not supported");
    ReadTokens();
    std::vector<Merge> merges = ReadMerges();
    const std::string where = tokens_value_.where();
    TokenizerExtras extras;
    extras.normalizer = std::move(words.normalizer);
    return Tokenizer(std::move(words.pre_tokenizer),
                     BpeModel(std::move(vocabulary_), std::move(merges), where, words.whole_words),
                     std::move(added_), where, std::move(extras));
  }

 private:
  std::vector<int64_t> ReadTypes() const {
    std::vector<int64_t> types(texts_.size(), 1);
    if (const GgufValue* value = metadata_.Find("tokenizer.ggml.token_type")) {
      types = value->Ints();
      if (types.size() != texts_.size()) {
        throw Error(value->where(), fmt::format("has {} entries, there are {} tokens", types.size(),
                                                texts_.size()));
      }
    }
    // These are special whatever the file calls them.
    for (const char* key : {"tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id",
                            "tokenizer.ggml.padding_token_id"}) {
      const GgufValue* value = metadata_.Find(key);
      if (value == nullptr) continue;
      const int64_t id = value->Int(0, static_cast<int64_t>(texts_.size()) - 1);
      types[static_cast<size_t>(id)] = kControl;
    }
    return types;
  }

  void ReadTokens() {
    const std::vector<int64_t> types = ReadTypes();
    vocabulary_.resize(texts_.size());
    for (size_t id = 0; id < texts_.size(); ++id) {
      const std::string_view text = texts_[id];
      if (types[id] == kUnused) continue;
      if (text.empty()) throw Error(tokens_value_.where(), fmt::format("token {} is empty", id));
      if (!ids_.emplace(text, static_cast<int32_t>(id)).second) {
        throw Error(tokens_value_.where(),
                    fmt::format("tokens {} and {} are both '{}'", ids_.at(text), id, text));
      }
      if (types[id] == kControl || types[id] == kUnknown || types[id] == kUserDefined) {
        AddedToken token;
        token.id = static_cast<int32_t>(id);
        token.content = text;
        token.special = types[id] != kUserDefined;
        added_.push_back(std::move(token));
      } else if (auto bytes = PrintableToBytes(text)) {
        vocabulary_[id] = {std::move(*bytes), VocabularyToken::Kind::kBytes};
      } else {
        vocabulary_[id] = {std::string(text), VocabularyToken::Kind::kLiteral};
      }
    }
  }

  std::vector<Merge> ReadMerges() const {
    const GgufValue& value = metadata_.At("tokenizer.ggml.merges");
    std::vector<Merge> merges;
    std::string joined;
    for (const std::string_view text : value.Strings()) {
      const auto wrong = [&](std::string_view what) {
        throw Error(value.where(), fmt::format("merge {}, '{}': {}", merges.size(), text, what));
      };
      const size_t space = text.find(' ');
      if (space == std::string_view::npos) wrong("is not two tokens with a space between");
      const std::string_view left = text.substr(0, space), right = text.substr(space + 1);
      joined.assign(left).append(right);
      const auto id_of = [&](std::string_view token) {
        const auto found = ids_.find(token);
        if (found == ids_.end()) wrong(fmt::format("there is no token '{}'", token));
        if (vocabulary_[static_cast<size_t>(found->second)].kind == VocabularyToken::Kind::kNone)
          wrong(fmt::format("'{}' is not an ordinary token", token));
        return found->second;
      };
      merges.push_back({id_of(left), id_of(right), id_of(joined)});
    }
    return merges;
  }

  const GgufMetadata& metadata_;
  const GgufValue& tokens_value_;
  std::vector<std::string_view> texts_;  // by id
  std::unordered_map<std::string_view, int32_t> ids_;
  std::vector<VocabularyToken> vocabulary_;
  std::vector<AddedToken> added_;
};

}  // namespace

std::optional<Tokenizer> GgufTokenizer(const GgufMetadata& metadata) {
  const GgufValue* model = metadata.Find("tokenizer.ggml.model");
  if (model == nullptr || model->String() == "none" || model->String() == "no_vocab")
    return std::nullopt;
  if (model->String() != "gpt2") {
    throw Error(model->where(), fmt::format("'{}' is not supported", model->String()),
                "byte-level BPE, 'gpt2', is");
  }
  return Reader(metadata).Read();
}

std::string_view GgufPreTokenizerName(const Tokenizer& tokenizer, std::string_view where) {
  for (const PreTokenizerName& known : kNames) {
    const Words words = known.make();
    if (words.pre_tokenizer.steps() == tokenizer.pre_tokenizer().steps() &&
        words.pre_tokenizer.byte_level() == tokenizer.pre_tokenizer().byte_level() &&
        words.normalizer.forms() == tokenizer.normalizer().forms() &&
        words.whole_words == tokenizer.model().whole_words()) {
      return known.name;
    }
  }
  throw Error(where, "GGUF has no name for this tokenizer's pre_tokenizer and normalizer",
              KnownNames());
}

}  // namespace fathom
