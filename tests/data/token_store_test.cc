#include "data/token_store.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/hash.h"
#include "data/test_corpus.h"

namespace fathom {
namespace fs = std::filesystem;
namespace {

using Ids = std::vector<int32_t>;

Ids CopyAll(const TokenStore& store, uint64_t document) {
  Ids ids(store.DocumentTokens(document));
  store.Copy(document, 0, ids.size(), ids.data());
  return ids;
}

class TokenStoreTest : public testing::TestWithParam<int64_t> {
 protected:
  TokenStoreSummary Write() {
    TokenStoreWriter writer(directory_ / "part", vocabulary_);
    writer.Append(Ids{1, 2});
    writer.Append(Ids{static_cast<int32_t>(vocabulary_ - 1)});
    writer.EndDocument(10);
    writer.EndDocument(99);  // no tokens: dropped
    writer.Append(Ids{0});
    writer.EndDocument(0);
    writer.Append(Ids{7, 7, 7, 7});
    writer.EndDocument(5);
    return writer.Finish();
  }

  void ExpectOpenError(const TokenStoreSummary& summary, std::string_view message) {
    EXPECT_ERROR(TokenStore(directory_ / "part", summary, vocabulary_), message);
  }

  TemporaryDirectory directory_;
  int64_t vocabulary_ = GetParam();
};
INSTANTIATE_TEST_SUITE_P(Vocabularies, TokenStoreTest, testing::Values(256, 65536, 65537, 129280));

TEST_P(TokenStoreTest, GivesBackWhatWasWritten) {
  const TokenStoreSummary summary = Write();
  EXPECT_EQ(summary.token_bytes, vocabulary_ <= 65536 ? 2 : 4);
  EXPECT_EQ(fs::file_size(directory_ / "part.tokens"),
            8 * static_cast<size_t>(summary.token_bytes));
  const TokenStore store(directory_ / "part", summary, vocabulary_);
  store.Verify([](uint64_t) {});
  ASSERT_EQ(store.documents(), 3u);
  EXPECT_EQ(store.tokens(), 8u);
  EXPECT_EQ(store.bytes(), 15u);
  EXPECT_EQ(CopyAll(store, 0), (Ids{1, 2, static_cast<int32_t>(vocabulary_ - 1)}));
  EXPECT_EQ(CopyAll(store, 1), Ids{0});
  EXPECT_EQ(CopyAll(store, 2), (Ids{7, 7, 7, 7}));
  EXPECT_EQ(store.DocumentBytes(0), 10u);
  EXPECT_EQ(store.DocumentBytes(1), 0u);
  EXPECT_EQ(store.DocumentBytes(2), 5u);
  Ids middle(1);
  store.Copy(0, 1, 1, middle.data());
  EXPECT_EQ(middle, Ids{2});
}

TEST_P(TokenStoreTest, EveryTruncationIsAnError) {
  const TokenStoreSummary summary = Write();
  for (const char* end : {"part.tokens", "part.documents"}) {
    const std::string whole = ReadFile(directory_ / end);
    for (size_t size = 0; size < whole.size(); ++size) {
      PutFile(directory_ / end, std::string_view(whole).substr(0, size));
      ExpectOpenError(summary, end);
    }
    PutFile(directory_ / end, whole + "x");
    ExpectOpenError(summary, end);
    fs::remove(directory_ / end);
    ExpectOpenError(summary, "cannot be opened");
    PutFile(directory_ / end, whole);
  }
  TokenStore(directory_ / "part", summary, vocabulary_);
}

TEST_P(TokenStoreTest, EveryFlippedByteIsFound) {
  const TokenStoreSummary summary = Write();
  const std::string table = ReadFile(directory_ / "part.documents");
  for (size_t i = 0; i < table.size(); ++i) {
    std::string damaged = table;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x81);
    PutFile(directory_ / "part.documents", damaged);
    ExpectOpenError(summary, "is damaged");
  }
  PutFile(directory_ / "part.documents", table);
  const std::string tokens = ReadFile(directory_ / "part.tokens");
  for (size_t i = 0; i < tokens.size(); ++i) {
    std::string damaged = tokens;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x81);
    PutFile(directory_ / "part.tokens", damaged);
    const TokenStore store(directory_ / "part", summary, vocabulary_);
    EXPECT_ERROR(store.Verify([](uint64_t) {}), "is damaged");
  }
}

TEST_P(TokenStoreTest, ATableThatPointsOutsideIsAnError) {
  // With a right checksum: what an ill-meaning file would have.
  TokenStoreSummary summary = Write();
  for (const auto& table :
       std::vector<std::vector<uint64_t>>{{3, 10, 4, 10, 9, 15},  // more tokens than there are
                                          {3, 10, 3, 10, 8, 15},  // an empty document
                                          {4, 10, 3, 10, 8, 15},  // descending
                                          {3, 10, 4, 9, 8, 15},   // bytes descending
                                          {3, 10, 4, 10, UINT64_MAX, 15},  // beyond everything
                                          {3, 10, 4, 10, 8, 16}}) {        // not the recorded bytes
    const std::string_view bytes(reinterpret_cast<const char*>(table.data()), 48);
    PutFile(directory_ / "part.documents", bytes);
    summary.table_hash = HashOf(bytes);
    ExpectOpenError(summary, "part.documents");
  }
}

TEST_P(TokenStoreTest, RecordedCountsMayNotOverflow) {
  TokenStoreSummary summary = Write();
  summary.tokens += uint64_t{1} << 63;
  ExpectOpenError(summary, "part.tokens");
  summary.tokens = 8;
  summary.documents += uint64_t{1} << 60;  // times 16 bytes: 2^64
  ExpectOpenError(summary, "part.documents");
}

TEST(TokenStore, AnIdOutsideTheVocabularyIsAnError) {
  TemporaryDirectory directory;
  TokenStoreWriter writer(directory / "a", 100);
  EXPECT_ERROR(writer.Append(Ids{5, 100}), "gave token 100, outside the vocabulary of 100");
  EXPECT_ERROR(writer.Append(Ids{-1}), "gave token -1");
  // A damaged file is found when the token is read.
  auto store = MakeStore(directory / "b", {{1, 2, 3}}, 100);
  PutFile(directory / "b.tokens", std::string_view("\1\0\xff\xff\3\0", 6));
  Ids ids(3);
  EXPECT_ERROR(TokenStore(directory / "b", store->summary(), 100).Copy(0, 0, 3, ids.data()),
               "document 0 holds token 65535");
}

TEST(TokenStore, AnEmptyOneOpens) {
  TemporaryDirectory directory;
  EXPECT_EQ(MakeStore(directory / "a", {}, 100)->documents(), 0u);
}

}  // namespace
}  // namespace fathom
