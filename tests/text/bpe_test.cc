#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "text/added_tokens.h"
#include "text/bpe_encoder.h"

namespace fathom {
namespace {

// The 256 bytes with their own numbers as ids, then one token a merge.
BpeModel MakeModel(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::vector<VocabularyToken> tokens;
  for (int byte = 0; byte < 256; ++byte) {
    tokens.push_back({std::string(1, static_cast<char>(byte)), VocabularyToken::Kind::kBytes});
  }
  const auto id_of = [&](const std::string& bytes) {
    for (size_t id = 0; id < tokens.size(); ++id) {
      if (tokens[id].bytes == bytes) return static_cast<int32_t>(id);
    }
    tokens.push_back({bytes, VocabularyToken::Kind::kBytes});
    return static_cast<int32_t>(tokens.size() - 1);
  };
  std::vector<Merge> merges;
  for (const auto& [left, right] : pairs) {
    const int32_t result = id_of(left + right);
    merges.push_back({id_of(left), id_of(right), result});
  }
  return BpeModel(std::move(tokens), std::move(merges), "test");
}

std::vector<std::string> Encoded(const BpeModel& model, BpeEncoder& encoder,
                                 std::string_view word) {
  std::vector<int32_t> ids;
  encoder.Encode(word, ids);
  std::vector<std::string> tokens;
  for (const int32_t id : ids) tokens.push_back(model.tokens()[id].bytes);
  return tokens;
}

using Strings = std::vector<std::string>;

TEST(Bpe, MergesByRankThenFromTheLeft) {
  const BpeModel model = MakeModel({{"b", "c"}, {"a", "b"}, {"a", "a"}, {"aa", "a"}, {"a", "bc"}});
  BpeEncoder encoder(model);
  EXPECT_EQ(Encoded(model, encoder, ""), Strings{});
  EXPECT_EQ(Encoded(model, encoder, "c"), Strings{"c"});
  EXPECT_EQ(Encoded(model, encoder, "ab"), Strings{"ab"});
  EXPECT_EQ(Encoded(model, encoder, "abc"), Strings{"abc"});          // bc comes before ab
  EXPECT_EQ(Encoded(model, encoder, "aaa"), Strings{"aaa"});          // the left aa first
  EXPECT_EQ(Encoded(model, encoder, "aaaa"), (Strings{"aa", "aa"}));  // all aa before aaa
  EXPECT_EQ(Encoded(model, encoder, "aaaaa"), (Strings{"aa", "aaa"}));
  EXPECT_EQ(Encoded(model, encoder, "xabx"), (Strings{"x", "ab", "x"}));
}

TEST(Bpe, TheLaterOfTwoEqualMergesCounts) {
  // "a b" stands before and after "b c": the later rank makes bc win.
  const BpeModel model = MakeModel({{"a", "b"}, {"b", "c"}, {"a", "b"}});
  BpeEncoder encoder(model);
  EXPECT_EQ(Encoded(model, encoder, "abc"), (Strings{"a", "bc"}));
}

// Scans for the best pair again and again.
std::vector<int32_t> MergedSlowly(const BpeModel& model, std::string_view word) {
  std::vector<int32_t> ids;
  for (const char c : word) ids.push_back(model.ByteId(static_cast<uint8_t>(c)));
  while (true) {
    size_t best = ids.size();
    int32_t rank = INT32_MAX;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto* merge = model.FindMerge(ids[i], ids[i + 1]);
      if (merge != nullptr && merge->rank < rank) {
        rank = merge->rank;
        best = i;
      }
    }
    if (best == ids.size()) return ids;
    ids[best] = model.FindMerge(ids[best], ids[best + 1])->result;
    ids.erase(ids.begin() + static_cast<ptrdiff_t>(best) + 1);
  }
}

TEST(Bpe, WordsOfEveryLengthAreMergedAlike) {
  const BpeModel model = MakeModel({{"a", "b"},
                                    {"b", "a"},
                                    {"ab", "ab"},
                                    {"a", "a"},
                                    {"ba", "b"},
                                    {"abab", "a"},
                                    {"b", "b"},
                                    {"aa", "ba"},
                                    {"bb", "ab"}});
  BpeEncoder encoder(model);
  RandomStream random(1);
  for (size_t length = 0; length < 200; ++length) {
    std::string word;
    while (word.size() < length) word += random.NextBelow(8) == 0 ? 'c' : "ab"[random.NextBelow(2)];
    for (int again = 0; again < 2; ++again) {  // the second time from memory, if it is kept
      std::vector<int32_t> ids;
      encoder.Encode(word, ids);
      EXPECT_EQ(ids, MergedSlowly(model, word)) << word;
    }
  }
}

TEST(Bpe, ALongRunIsNotQuadratic) {
  const BpeModel model = MakeModel({{"a", "a"}, {"aa", "aa"}, {"aaaa", "aaaa"}});
  BpeEncoder encoder(model);
  std::vector<int32_t> ids;
  encoder.Encode(std::string(1 << 20, 'a'), ids);
  EXPECT_EQ(ids.size(), size_t{1} << 17);
}

TEST(Bpe, RefusesAnIncompleteVocabulary) {
  std::vector<VocabularyToken> tokens;
  for (int byte = 0; byte < 255; ++byte) {
    tokens.push_back({std::string(1, static_cast<char>(byte)), VocabularyToken::Kind::kBytes});
  }
  EXPECT_THROW(BpeModel(tokens, {}, "test"), Error);
  tokens.push_back({"\xFF", VocabularyToken::Kind::kBytes});
  EXPECT_NO_THROW(BpeModel(tokens, {}, "test"));
  EXPECT_THROW(BpeModel(tokens, {{1, 2, 256}}, "test"), Error);
  EXPECT_THROW(BpeModel(tokens, {{-1, 2, 3}}, "test"), Error);
}

std::string Split(const std::vector<AddedToken>& tokens, std::string_view text) {
  std::string out;
  AddedTokenMatcher(tokens, Normalizer()).Split(text, [&](std::string_view piece, int32_t id) {
    out += id < 0 ? std::string(piece) : "[" + std::to_string(id) + "]";
    out += '.';
  });
  return out;
}

TEST(AddedTokens, LeftmostThenLongest) {
  const std::vector<AddedToken> tokens = {{1, "ab"}, {2, "abcd"}, {3, "bcde"}, {4, "d"}};
  EXPECT_EQ(Split(tokens, "xabcdex"), "x.[2].ex.");
  EXPECT_EQ(Split(tokens, "abcx"), "[1].cx.");
  EXPECT_EQ(Split(tokens, "bcd"), "bc.[4].");
  EXPECT_EQ(Split(tokens, "abab"), "[1].[1].");
  EXPECT_EQ(Split(tokens, ""), "");
  EXPECT_EQ(Split({}, "ab"), "ab.");
}

TEST(AddedTokens, NormalizedOnesComeSecond) {
  const std::vector<AddedToken> tokens = {{1, "ab", true, true}, {2, "b", true, false}};
  EXPECT_EQ(Split(tokens, "ab"), "a.[2].");
  EXPECT_EQ(Split({{1, "ab", true, true}}, "xab"), "x.[1].");
}

TEST(AddedTokens, TakeWhiteSpaceAlong) {
  const AddedToken left{1, "<l>", true, false, true, false, false};
  const AddedToken right{2, "<r>", true, false, false, true, false};
  EXPECT_EQ(Split({left, right}, "a \t<l> b"), "a.[1]. b.");
  EXPECT_EQ(Split({left, right}, "a <r>\u3000\nb"), "a .[2].b.");
  EXPECT_EQ(Split({left, right}, "<r>  <l>"), "[2].[1].");
  EXPECT_EQ(Split({left, right}, " <l><r> "), "[1].[2].");
}

TEST(AddedTokens, OfSingleWordsStandAlone) {
  const std::vector<AddedToken> tokens = {{1, "the", true, false, false, false, true}};
  EXPECT_EQ(Split(tokens, "the then bathe the-the"), "[1]. then bathe .[1].-.[1].");
  EXPECT_EQ(Split(tokens, "_the the\u0301 (the)"), "_the the\u0301 (.[1].).");
  // The longer token is refused, and the shorter one is not tried.
  EXPECT_EQ(Split({{1, "ab", true, false, false, false, true}, {2, "a"}}, "abc a"), "abc .[2].");
}

TEST(AddedTokens, AreFoundInNormalizedText) {
  const Normalizer nfc({Normalizer::Form::kNfc});
  const std::vector<AddedToken> tokens = {{1, "e\u0301", true, true}, {2, "a\u0301", true, false}};
  std::string out;
  const AddedTokenMatcher matcher(tokens, nfc);
  matcher.Split("x\u00E9xe\u0301\u00E1a\u0301o\u0301", [&](std::string_view piece, int32_t id) {
    out += id < 0 ? std::string(piece) : "[" + std::to_string(id) + "]";
    out += '.';
  });
  EXPECT_EQ(out, "x.[1].x.[1].\u00E1.[2].\u00F3.");
}

TEST(Bpe, WholeWordsCanComeFirst) {
  // "abc" is a token that no merge makes.
  BpeModel merged = MakeModel({{"a", "b"}});
  std::vector<VocabularyToken> tokens(merged.tokens().begin(), merged.tokens().end());
  tokens.push_back({"abc", VocabularyToken::Kind::kBytes});
  tokens.push_back({"xyz", VocabularyToken::Kind::kBytes, true});  // special
  const std::vector<Merge> merges(merged.merges().begin(), merged.merges().end());
  const BpeModel plain(tokens, merges, "test"), whole(tokens, merges, "test", true);
  BpeEncoder plain_encoder(plain), whole_encoder(whole);
  EXPECT_EQ(Encoded(plain, plain_encoder, "abc"), (Strings{"ab", "c"}));
  EXPECT_EQ(Encoded(whole, whole_encoder, "abc"), Strings{"abc"});
  EXPECT_EQ(Encoded(whole, whole_encoder, "abcd"), (Strings{"ab", "c", "d"}));
  EXPECT_EQ(Encoded(whole, whole_encoder, "xyz"), (Strings{"x", "y", "z"}));
}

}  // namespace
}  // namespace fathom
