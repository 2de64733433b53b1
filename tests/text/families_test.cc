#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "text/stream_decoder.h"
#include "text/text_golden.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace fathom {
namespace {

using Json = nlohmann::ordered_json;

// One small tokenizer with the settings of each family, and odd ones that have all other steps and
// flags, each made and asked by Hugging Face `tokenizers`.
std::vector<std::string> GoldenFamilies() {
  std::vector<std::string> names;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(FATHOM_GOLDEN_DIR) / "text")) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("family_")) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

class Families : public testing::TestWithParam<std::string> {
 protected:
  Families() : golden_(Json::parse(GoldenText(GetParam()))), original_(golden_["tokenizer"]) {}

  void ExpectTheIdsOfTheOriginal(const Tokenizer& tokenizer) const {
    for (const Json& item : golden_["cases"]) {
      const auto text = item["text"].get<std::string>();
      EXPECT_EQ(tokenizer.Encode(text), item["ids"].get<std::vector<int32_t>>()) << text;
    }
  }

  const Json golden_;
  const Json original_;
};

TEST_P(Families, GiveTheIdsOfTheOriginal) {
  const Tokenizer tokenizer = Tokenizer::FromJson(original_.dump(), GetParam());
  ExpectTheIdsOfTheOriginal(tokenizer);
  std::vector<int32_t> whole = tokenizer.surrounding_tokens().before;
  for (const int32_t id : tokenizer.Encode("a")) whole.push_back(id);
  for (const int32_t id : tokenizer.surrounding_tokens().after) whole.push_back(id);
  EXPECT_EQ(whole, golden_["whole"].get<std::vector<int32_t>>());
}

TEST_P(Families, AreTheSameAfterSavingAndLoading) {
  const Tokenizer tokenizer = Tokenizer::FromJson(original_.dump(), GetParam());
  const Json saved = Json::parse(tokenizer.ToJson());
  const Tokenizer again = Tokenizer::FromJson(saved.dump(), "saved");
  ExpectTheIdsOfTheOriginal(again);
  EXPECT_EQ(again.fingerprint(), tokenizer.fingerprint());
  EXPECT_EQ(again.surrounding_tokens().before, tokenizer.surrounding_tokens().before);
  // What the original wrote, key for key, but for a Sequence of one step or none.
  EXPECT_EQ(saved["added_tokens"], original_["added_tokens"]);
  EXPECT_EQ(saved["post_processor"], original_["post_processor"]);
  EXPECT_EQ(saved["model"]["ignore_merges"], original_["model"]["ignore_merges"]);
  EXPECT_EQ(saved["model"]["vocab"].size(), original_["model"]["vocab"].size());
  if (original_["pre_tokenizer"].contains("pretokenizers")) {
    EXPECT_EQ(saved["pre_tokenizer"], original_["pre_tokenizer"]);
  }
  if (!original_["normalizer"].is_null() && (!original_["normalizer"].contains("normalizers") ||
                                             original_["normalizer"]["normalizers"].size() > 1)) {
    EXPECT_EQ(saved["normalizer"], original_["normalizer"]);
  }
}

TEST_P(Families, StreamsNeverHoldAPartOfACharacter) {
  const Tokenizer tokenizer = Tokenizer::FromJson(original_.dump(), GetParam());
  for (const Json& item : golden_["cases"]) {
    const auto ids = item["ids"].get<std::vector<int32_t>>();
    StreamDecoder decoder(tokenizer, false);
    std::string text;
    for (const int32_t id : ids) {
      const std::string piece = decoder.Push(id);
      EXPECT_TRUE(IsValidUtf8(piece));
      text += piece;
    }
    text += decoder.Finish();
    EXPECT_EQ(text, ReplaceInvalidUtf8(tokenizer.Decode(ids)));
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, Families, testing::ValuesIn(GoldenFamilies()),
                         [](const auto& test) {
                           return test.param.substr(7, test.param.size() - 12);
                         });

TEST(Families, GoldensAreThere) { EXPECT_GE(GoldenFamilies().size(), 16u); }

// A file in which values were replaced by others is read, or refused with an Error; nothing else
// happens.
TEST(TokenizerFile, ChangedValuesAreReadOrRefused) {
  const Json original = Json::parse(GoldenText("family_llama3.json"))["tokenizer"];
  std::vector<std::string> places, vocabulary;
  const Json flat = original.flatten();
  for (const auto& [place, value] : flat.items()) {
    (place.starts_with("/model/") ? vocabulary : places).push_back(place);
  }
  Json deep = 1;
  for (int i = 0; i < 300; ++i) deep = Json::array({deep});
  const std::vector<Json> values = {nullptr,
                                    true,
                                    false,
                                    0,
                                    7,
                                    -1,
                                    2'000'000'000,
                                    1LL << 40,
                                    1e300,
                                    "",
                                    "a",
                                    " ",
                                    "\\p{L}",
                                    "(a+)+$",
                                    "(",
                                    "Removed",
                                    "Digits",
                                    "NFKC",
                                    "Fuse",
                                    "Sequence",
                                    "BPE",
                                    "\u00E9",
                                    "<|eot_id|>",
                                    Json::array(),
                                    Json::object(),
                                    deep,
                                    {{"type", "NFC"}},
                                    {{"type", "ByteLevel"}},
                                    {{"Regex", "a|"}},
                                    {{"String", ""}}};
  RandomStream random(17);
  const auto pick = [&](const auto& list) { return list[random.NextBelow(list.size())]; };
  int read = 0, refused = 0;
  for (int i = 0; i < 2500; ++i) {
    Json changed = original;
    for (uint64_t n = 0; n <= random.NextBelow(2); ++n) {
      Json::json_pointer place(random.NextBelow(4) > 0 ? pick(places) : pick(vocabulary));
      // The value itself or what holds it.
      for (uint64_t up = random.NextBelow(2); up > 0; --up) place = place.parent_pointer();
      if (changed.contains(place)) changed[place] = pick(values);
    }
    try {
      Tokenizer::FromJson(changed.dump(), "changed").Encode("The <|eot_id|> 12 \u00E9\n");
      ++read;
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(read, 0);
  EXPECT_GT(refused, 0);
}

TEST(TokenizerFile, PartsOfAFileAreRefused) {
  const std::string original = Json::parse(GoldenText("family_llama3.json"))["tokenizer"].dump();
  for (size_t size = 0; size < original.size(); size += 97) {
    EXPECT_THROW(Tokenizer::FromJson(original.substr(0, size), "cut"), Error);
  }
}

}  // namespace
}  // namespace fathom
