#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "base/thread_pool.h"
#include "text/special_tokens.h"
#include "text/stream_decoder.h"
#include "text/text_golden.h"
#include "text/utf8.h"

namespace fathom {
namespace {

// Trained and saved by Hugging Face, with four added tokens that are not special.
const Tokenizer& Golden() {
  static const Tokenizer tokenizer =
      Tokenizer::FromJson(GoldenText("tokenizer.json"), "tokenizer.json");
  return tokenizer;
}

TEST(Tokenizer, GivesTheIdsOfTheOriginal) {
  const JsonDocument golden(GoldenText("ids.json"), "ids.json");
  const auto cases = golden.root().At("cases").Array();
  ASSERT_GT(cases.size(), 400u);
  for (const JsonValue& item : cases) {
    const std::string_view text = item.At("text").String();
    const auto ids = Golden().Encode(text);
    EXPECT_EQ(ids, IdsOf(item.At("ids"))) << text;
    EXPECT_EQ(Golden().Decode(ids), text);
  }
}

TEST(Tokenizer, IsTheSameAfterSavingAndLoading) {
  const Tokenizer again = Tokenizer::FromJson(Golden().ToJson(), "saved");
  EXPECT_EQ(again.fingerprint(), Golden().fingerprint());
  EXPECT_EQ(again.vocab_size(), Golden().vocab_size());
  const JsonDocument golden(GoldenText("ids.json"), "ids.json");
  for (const JsonValue& item : golden.root().At("cases").Array()) {
    EXPECT_EQ(again.Encode(item.At("text").String()), IdsOf(item.At("ids")));
  }

  const auto directory =
      std::filesystem::temp_directory_path() / ("fathom-tokenizer-" + std::to_string(getpid()));
  std::filesystem::create_directories(directory);
  Golden().Save(directory / "tokenizer.json");
  EXPECT_EQ(Tokenizer::Load(directory).fingerprint(), Golden().fingerprint());
  EXPECT_EQ(Tokenizer::Load(directory / "tokenizer.json").fingerprint(), Golden().fingerprint());
  std::filesystem::remove_all(directory);
  EXPECT_THROW(Tokenizer::Load(directory), Error);
}

TEST(Tokenizer, TokensWithSpacesAreSavedToo) {
  nlohmann::ordered_json json = nlohmann::ordered_json::parse(GoldenText("tokenizer.json"));
  auto& model = json["model"];
  const size_t size = model["vocab"].size();
  model["vocab"]["x y"] = size;
  model["vocab"]["ax y"] = size + 1;
  json["added_tokens"].erase(json["added_tokens"].end() - 4, json["added_tokens"].end());
  model["merges"].push_back({"a", "x y"});
  const Tokenizer tokenizer = Tokenizer::FromJson(json.dump(), "changed");
  EXPECT_EQ(Tokenizer::FromJson(tokenizer.ToJson(), "saved").fingerprint(),
            tokenizer.fingerprint());
}

TEST(Tokenizer, AnyBytesComeBack) {
  RandomStream random(3);
  for (int i = 0; i < 300; ++i) {
    std::string bytes;
    const size_t length = random.NextBelow(60);
    while (bytes.size() < length) bytes.push_back(static_cast<char>(random.NextBelow(256)));
    EXPECT_EQ(Golden().Decode(Golden().Encode(bytes)), ReplaceInvalidUtf8(bytes));
  }
}

TEST(Tokenizer, PlainTextNeverBecomesAnAddedToken) {
  const std::string text = "<｜User｜>hi<think>x</think><｜end▁of▁sentence｜>stan";
  const auto ids = Golden().Encode(text, {.added_tokens = false});
  EXPECT_EQ(Golden().Decode(ids), text);
  EXPECT_EQ(Golden().Decode(ids, true), text);
  const int32_t user = Golden().RequireAddedTokenId(kUser);
  for (const int32_t id : ids) EXPECT_GE(id, 10) << "the ten special tokens have the first ids";
  EXPECT_EQ(Golden().Encode(text)[0], user);
}

TEST(Tokenizer, KnowsItsSpecialTokens) {
  const int32_t end = Golden().RequireAddedTokenId(kEndOfSentence);
  EXPECT_EQ(end, 1);
  EXPECT_TRUE(Golden().IsSpecial(end));
  EXPECT_EQ(Golden().TokenBytes(end), kEndOfSentence);
  EXPECT_EQ(Golden().Decode(std::vector<int32_t>{end, end}, true), "");
  EXPECT_EQ(Golden().AddedTokenId("no such token"), std::nullopt);
  EXPECT_THROW(Golden().RequireAddedTokenId("no such token"), Error);
  EXPECT_FALSE(Golden().IsSpecial(*Golden().AddedTokenId("stan")));
  // Ids that a padded model may sample, and nonsense.
  for (const int32_t id : {Golden().vocab_size(), INT32_MAX, -1, INT32_MIN}) {
    EXPECT_FALSE(Golden().HasToken(id));
    EXPECT_EQ(Golden().TokenBytes(id), "");
  }
}

TEST(Tokenizer, ServesSeveralThreads) {
  const std::string text = "The standing 中文 of 12345 words, <｜User｜> and\n\n  more.";
  const auto expected = Golden().Encode(text);
  ThreadPool pool(4);
  std::vector<int> wrong(4, 0);
  pool.Run([&](int thread) {
    for (int i = 0; i < 100; ++i) wrong[thread] += Golden().Encode(text) != expected;
  });
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

TEST(Tokenizer, TheFingerprintSeesEveryChange) {
  using Json = nlohmann::ordered_json;
  const Json original = Json::parse(GoldenText("tokenizer.json"));
  const auto fingerprint = [](const Json& json) {
    return Tokenizer::FromJson(json.dump(), "changed").fingerprint();
  };
  std::vector<uint64_t> prints = {fingerprint(original)};
  const auto changed = [&](auto&& change) {
    Json copy = original;
    change(copy);
    prints.push_back(fingerprint(copy));
  };
  changed([](Json& json) { std::swap(json["model"]["merges"][5], json["model"]["merges"][6]); });
  changed([](Json& json) { json["model"]["merges"].erase(400); });
  changed([](Json& json) { std::swap(json["model"]["vocab"]["a"], json["model"]["vocab"]["b"]); });
  changed([](Json& json) { json["added_tokens"].erase(json["added_tokens"].size() - 1); });
  changed([](Json& json) { json["added_tokens"][0]["special"] = false; });
  changed([](Json& json) { json["pre_tokenizer"]["pretokenizers"].erase(0); });
  std::sort(prints.begin(), prints.end());
  EXPECT_EQ(std::adjacent_find(prints.begin(), prints.end()), prints.end());
}

TEST(Tokenizer, RefusesWhatWouldChangeTheIdsAndNamesIt) {
  using Json = nlohmann::ordered_json;
  const Json original = Json::parse(GoldenText("tokenizer.json"));
  const auto expect_error = [&](const std::string& name, auto&& change) {
    Json copy = original;
    change(copy);
    try {
      Tokenizer::FromJson(copy.dump(), "tokenizer.json");
      ADD_FAILURE() << name << " was accepted";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
    }
  };
  expect_error("truncation", [](Json& j) { j["truncation"] = {{"max_length", 5}}; });
  expect_error("padding", [](Json& j) { j["padding"] = Json::object(); });
  expect_error("normalizer", [](Json& j) { j["normalizer"] = {{"type", "Lowercase"}}; });
  expect_error("post_processor", [](Json& j) {
    j["post_processor"] = {{"type", "TemplateProcessing"}};
  });
  expect_error("decoder", [](Json& j) { j["decoder"] = {{"type", "Metaspace"}}; });
  expect_error("model.type", [](Json& j) { j["model"]["type"] = "Unigram"; });
  expect_error("dropout", [](Json& j) { j["model"]["dropout"] = 0.1; });
  expect_error("end_of_word_suffix", [](Json& j) { j["model"]["end_of_word_suffix"] = "</w>"; });
  expect_error("surprise", [](Json& j) { j["model"]["surprise"] = 1; });
  expect_error("surprise", [](Json& j) { j["surprise"] = 1; });
  expect_error("behavior",
               [](Json& j) { j["pre_tokenizer"]["pretokenizers"][0]["behavior"] = "Melted"; });
  expect_error("use_regex",
               [](Json& j) { j["pre_tokenizer"]["pretokenizers"][3]["use_regex"] = 3; });
  expect_error("Metaspace", [](Json& j) {
    j["pre_tokenizer"]["pretokenizers"][0] = {{"type", "Metaspace"}};
  });
  expect_error("lstrip", [](Json& j) { j["added_tokens"][2]["lstrip"] = "yes"; });
  expect_error("special_tokens", [](Json& j) {
    j["post_processor"] = Json::parse(R"({"type": "TemplateProcessing", "special_tokens": {},
        "single": [{"SpecialToken": {"id": "X"}}, {"Sequence": {"id": "A"}}]})");
  });
  expect_error("surrounding", [](Json& j) {
    j["post_processor"] =
        Json::parse(R"({"type": "RobertaProcessing", "sep": ["a", 123456], "cls": ["a", 3]})");
  });
  expect_error("ByteLevel", [](Json& j) { j["pre_tokenizer"]["pretokenizers"].erase(3); });
}

TEST(Tokenizer, RefusesFilesThatLie) {
  using Json = nlohmann::ordered_json;
  const Json original = Json::parse(GoldenText("tokenizer.json"));
  const auto expect_error = [&](auto&& change) {
    Json copy = original;
    change(copy);
    EXPECT_THROW(Tokenizer::FromJson(copy.dump(), "tokenizer.json"), Error);
  };
  expect_error([](Json& j) { j["model"]["vocab"]["a"] = 2'000'000'000; });
  expect_error([](Json& j) { j["model"]["vocab"]["a"] = -1; });
  expect_error([](Json& j) { j["model"]["vocab"]["a"] = j["model"]["vocab"]["b"]; });
  expect_error([](Json& j) { j["model"]["vocab"].erase("a"); });
  expect_error([](Json& j) { j["model"]["vocab"]["a"] = "x"; });
  expect_error([](Json& j) { j["model"]["merges"][0] = "ab"; });
  expect_error([](Json& j) { j["model"]["merges"][0] = "a b c"; });
  expect_error([](Json& j) { j["model"]["merges"][0] = {"a"}; });
  expect_error([](Json& j) { j["model"]["merges"][0] = {"a", "\u4e2d"}; });
  expect_error([](Json& j) { j["model"]["merges"] = 3; });
  expect_error([](Json& j) { j["model"].erase("vocab"); });
  expect_error([](Json& j) { j["added_tokens"][0]["id"] = 2'000'000'000; });
  expect_error([](Json& j) { j["added_tokens"][0]["id"] = 7; });
  expect_error([](Json& j) { j["added_tokens"][0]["id"] = 1e30; });
  expect_error([](Json& j) { j["added_tokens"][0]["content"] = ""; });
  expect_error([](Json& j) { j["added_tokens"][1]["content"] = j["added_tokens"][0]["content"]; });
  EXPECT_THROW(Tokenizer::FromJson("", "x"), Error);
  EXPECT_THROW(Tokenizer::FromJson("[]", "x"), Error);
  EXPECT_THROW(Tokenizer::FromJson(GoldenText("tokenizer.json").substr(0, 20'000), "x"), Error);
}

TEST(StreamDecoder, NeverEmitsAPartOfACharacter) {
  RandomStream random(5);
  for (int i = 0; i < 200; ++i) {
    std::vector<int32_t> ids;
    for (int n = 0; n < 40; ++n) {
      ids.push_back(10 + static_cast<int32_t>(random.NextBelow(n % 2 == 0 ? 256 : 800)));
    }
    StreamDecoder decoder(Golden());
    std::string text;
    for (const int32_t id : ids) {
      const std::string piece = decoder.Push(id);
      EXPECT_TRUE(IsValidUtf8(piece));
      text += piece;
    }
    text += decoder.Finish();
    EXPECT_EQ(text, ReplaceInvalidUtf8(Golden().Decode(ids)));
  }
}

TEST(StreamDecoder, EmitsACharacterAsSoonAsItIsWhole) {
  StreamDecoder decoder(Golden());
  const BpeModel& model = Golden().model();
  EXPECT_EQ(decoder.Push(model.ByteId(0xF0)), "");
  EXPECT_EQ(decoder.Push(model.ByteId(0x9F)), "");
  EXPECT_EQ(decoder.Push(Golden().RequireAddedTokenId(kPad)), "");  // special: left out
  EXPECT_EQ(decoder.Push(model.ByteId(0x98)), "");
  EXPECT_EQ(decoder.Push(model.ByteId(0x80)), "😀");
  EXPECT_EQ(decoder.Push(model.ByteId(0xE4)), "");
  EXPECT_EQ(decoder.Push(model.ByteId('a')), "\uFFFDa");
  EXPECT_EQ(decoder.Push(model.ByteId(0xE4)), "");
  EXPECT_EQ(decoder.Finish(), "\uFFFD");
  EXPECT_EQ(decoder.Finish(), "");
  StreamDecoder with_special(Golden(), false);
  EXPECT_EQ(with_special.Push(1), kEndOfSentence);
}

// Multi-byte characters, joined emoji, special tokens between, and an end inside a character: what
// comes out is whole characters, as early as they are whole, and all of the text.
TEST(StreamDecoder, FollowsEmojiAndSpecialTokens) {
  const std::string text = "\U0001F469\u200D\U0001F4BB \U0001F1E9\U0001F1EA\u4E2De\u0301";
  std::vector<int32_t> ids;
  std::vector<std::string> expected;
  const BpeModel& model = Golden().model();
  for (size_t i = 0; i < text.size(); ++i) {
    ids.push_back(model.ByteId(static_cast<uint8_t>(text[i])));
    size_t begin = i;
    while ((static_cast<uint8_t>(text[begin]) & 0xC0) == 0x80) --begin;
    const bool last = i + 1 == text.size() || (static_cast<uint8_t>(text[i + 1]) & 0xC0) != 0x80;
    expected.push_back(last ? text.substr(begin, i + 1 - begin) : "");
    if (i % 3 == 0) {
      ids.push_back(1);
      expected.emplace_back();
    }
  }
  StreamDecoder decoder(Golden());
  for (size_t i = 0; i < ids.size(); ++i) EXPECT_EQ(decoder.Push(ids[i]), expected[i]) << i;
  EXPECT_EQ(decoder.Push(model.ByteId(0xF0)), "");
  EXPECT_EQ(decoder.Push(model.ByteId(0x9F)), "");
  EXPECT_EQ(decoder.Finish(), "\uFFFD");
}

TEST(Tokenizer, UnkAndByteFallbackChangeNothingWhereEveryByteIsAToken) {
  nlohmann::ordered_json json = nlohmann::ordered_json::parse(GoldenText("tokenizer.json"));
  json["model"]["unk_token"] = "a";
  json["model"]["byte_fallback"] = true;
  EXPECT_EQ(Tokenizer::FromJson(json.dump(), "changed").fingerprint(), Golden().fingerprint());
}

TEST(Tokenizer, NothingThatIsWrittenBecomesASpecialTokenAsAWholeWord) {
  nlohmann::ordered_json json = nlohmann::ordered_json::parse(GoldenText("tokenizer.json"));
  json["model"]["ignore_merges"] = true;
  json["pre_tokenizer"] = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  const Tokenizer tokenizer = Tokenizer::FromJson(json.dump(), "changed");
  for (const AddedToken& token : tokenizer.added_tokens()) {
    if (!token.special) continue;
    for (const int32_t id : tokenizer.Encode(token.content, {.added_tokens = false})) {
      EXPECT_FALSE(tokenizer.IsSpecial(id)) << token.content;
    }
  }
}

}  // namespace
}  // namespace fathom
