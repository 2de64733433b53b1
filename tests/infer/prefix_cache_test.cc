// Who has which pages, over memory that holds nothing but marks.

#include "infer/cache/prefix_cache.h"

#include <gtest/gtest.h>

#include <fstream>
#include <numeric>

#include "base/error.h"
#include "base/temporary_directory.h"
#include "infer/stub_executor.h"

namespace fathom::test {
namespace {

using Ids = std::vector<int32_t>;

Ids Count(int32_t begin, int32_t end) {
  Ids ids(static_cast<size_t>(end - begin));
  std::iota(ids.begin(), ids.end(), begin);
  return ids;
}

// Pages of four tokens.
class PrefixCacheTest : public testing::Test {
 protected:
  // A sequence computes all of its tokens; how many of them were cached.
  int64_t Compute(CacheSequence& sequence, const Ids& tokens) {
    const auto length = static_cast<int64_t>(tokens.size());
    cache_.Extend(sequence, tokens, length, /*all=*/true);
    const int64_t cached = sequence.length;
    EXPECT_TRUE(cache_.Reserve(sequence, length));
    cache_.Commit(sequence, tokens, length, /*publish_tail=*/true);
    cache_.tree().CheckInvariants();
    return cached;
  }
  // The same from beginning to end.
  int64_t Pass(const Ids& tokens, const std::string& salt = "") {
    CacheSequence sequence = cache_.Open(salt);
    const int64_t cached = Compute(sequence, tokens);
    cache_.Close(sequence, tokens);
    cache_.tree().CheckInvariants();
    EXPECT_EQ(cache_.available(), cache_.pages());
    return cached;
  }

  StubExecutor memory_{6, 4};
  PrefixCache cache_{memory_, "model", nullptr};
};

TEST_F(PrefixCacheTest, WholePagesAreSharedAndTheRestIsCopied) {
  CacheSequence first = cache_.Open(""), second = cache_.Open("");
  EXPECT_EQ(Compute(first, Count(0, 10)), 0);
  Ids tokens = Count(0, 12);
  tokens[9] = 77;
  EXPECT_EQ(Compute(second, tokens), 9);
  EXPECT_EQ(second.pages[0], first.pages[0]);
  EXPECT_EQ(second.pages[1], first.pages[1]);
  EXPECT_NE(second.pages[2], first.pages[2]);
  EXPECT_EQ(cache_.available(), 2);
  cache_.Close(first, Count(0, 10));
  cache_.Close(second, tokens);
  EXPECT_EQ(cache_.available(), 6);
}

TEST_F(PrefixCacheTest, WhatIsCachedIsFoundAsFarAsItAgrees) {
  Pass(Count(0, 10));
  EXPECT_EQ(Pass(Count(0, 10)), 10);
  EXPECT_EQ(Pass(Count(0, 7)), 7);
  EXPECT_EQ(Pass(Count(1, 7)), 0);
  Ids other = Count(0, 10);
  other[5] = 99;
  EXPECT_EQ(Pass(other), 5);
}

TEST_F(PrefixCacheTest, SaltsSeeTheirOwnOnly) {
  Pass(Count(0, 8), "a");
  EXPECT_EQ(Pass(Count(0, 8), "b"), 0);
  EXPECT_EQ(Pass(Count(0, 8), "a"), 8);
}

TEST_F(PrefixCacheTest, TheLeastRecentlyUsedGoesFirstAndItsEndBeforeItsBeginning) {
  Pass(Count(0, 12));
  Pass(Count(100, 108));
  Pass(Count(0, 4));
  // Five pages are taken. Two more: the free one, and the end of the longest.
  Pass(Count(200, 208));
  EXPECT_EQ(Pass(Count(100, 108)), 8);
  EXPECT_EQ(Pass(Count(0, 12)), 8);
}

TEST_F(PrefixCacheTest, PagesInUseAreNotEvicted) {
  CacheSequence sequence = cache_.Open(""), greedy = cache_.Open("");
  const Ids tokens = Count(0, 16);
  Compute(sequence, tokens);
  EXPECT_EQ(cache_.available(), 2);
  EXPECT_FALSE(cache_.Reserve(greedy, 9));
  EXPECT_TRUE(greedy.pages.empty());
  EXPECT_TRUE(cache_.Reserve(greedy, 8));
  cache_.Close(sequence, tokens);
  EXPECT_TRUE(cache_.Reserve(greedy, 24));
  cache_.Close(greedy, {});
}

TEST_F(PrefixCacheTest, TwoWhoComputeTheSameKeepOnePage) {
  CacheSequence first = cache_.Open(""), second = cache_.Open("");
  const Ids tokens = Count(0, 8);
  EXPECT_TRUE(cache_.Reserve(first, 8));
  EXPECT_TRUE(cache_.Reserve(second, 8));
  EXPECT_EQ(cache_.available(), 2);
  cache_.Commit(first, tokens, 8, false);
  cache_.Commit(second, tokens, 8, false);
  EXPECT_EQ(first.pages, second.pages);
  EXPECT_EQ(cache_.available(), 4);
  cache_.Close(first, tokens);
  cache_.Close(second, tokens);
}

// Drafts that were rejected leave nothing behind.
TEST_F(PrefixCacheTest, OnlyWhatIsCommittedIsShared) {
  CacheSequence sequence = cache_.Open("");
  Ids tokens = Count(0, 12);
  EXPECT_TRUE(cache_.Reserve(sequence, 12));
  cache_.Commit(sequence, tokens, 6, false);
  tokens.resize(6);
  cache_.Close(sequence, tokens);
  EXPECT_EQ(cache_.available(), 6);
  EXPECT_EQ(Pass(Count(0, 12)), 6);
}

TEST_F(PrefixCacheTest, TheNextPageOfTwoSequencesIsTheSameWhenTheirTokensAre) {
  CacheSequence first = cache_.Open(""), second = cache_.Open(""), other = cache_.Open("x");
  Ids a = Count(0, 6), b = Count(0, 6);
  b[5] = 50;
  const auto unit = [&](const CacheSequence& sequence, const Ids& tokens) {
    return cache_.UnitUnderWay(sequence, tokens, static_cast<int64_t>(tokens.size()));
  };
  EXPECT_EQ(unit(first, a), unit(second, b));
  EXPECT_NE(unit(first, a), unit(other, a));
  Compute(first, Count(0, 4));
  EXPECT_NE(unit(first, a), unit(second, b));
  cache_.Extend(second, b, 4, true);
  EXPECT_NE(unit(first, a), unit(second, b));
  EXPECT_EQ(unit(first, a), unit(second, a));
  cache_.Close(first, a);
  cache_.Close(second, b);
  cache_.Close(other, a);
}

// ---- Files

std::vector<std::byte> Bytes(uint8_t value) { return {32, std::byte{value}}; }

class PrefixStoreTest : public testing::Test {
 protected:
  std::filesystem::path Path(const PrefixKey& key) const {
    return directory_ / key.ToHex().substr(0, 2) / (key.ToHex() + ".page");
  }
  void Save(PrefixStore& store, const PrefixKey& key, uint8_t value) {
    EXPECT_TRUE(store.Save(key, tokens_, Bytes(value)));
    store.Flush();
  }
  bool Has(PrefixStore& store, const PrefixKey& key, uint8_t value) {
    std::vector<std::byte> page(32);
    return store.Contains(key) && store.Load(key, tokens_, page) && page == Bytes(value);
  }

  TemporaryDirectory directory_;
  Ids tokens_ = Count(0, 4);
  PrefixKey first_ = PrefixKey::Root("model", "").Child(tokens_);
  PrefixKey second_ = first_.Child(tokens_);
};

TEST_F(PrefixStoreTest, KeysAreOfModelSaltAndAllTokens) {
  EXPECT_NE(PrefixKey::Root("model", "a"), PrefixKey::Root("model", "b"));
  EXPECT_NE(PrefixKey::Root("model", "a"), PrefixKey::Root("other", "a"));
  EXPECT_NE(PrefixKey::Root("ab", "c"), PrefixKey::Root("a", "bc"));
  EXPECT_NE(first_, second_);
  EXPECT_EQ(second_, PrefixKey::Root("model", "").Child(Count(0, 4)).Child(Count(0, 4)));
}

TEST_F(PrefixStoreTest, WhatIsSavedIsThereForTheNextOne) {
  {
    PrefixStore store(directory_.path(), 1 << 20, 32);
    EXPECT_FALSE(store.Contains(first_));
    Save(store, first_, 1);
    EXPECT_TRUE(Has(store, first_, 1));
  }
  PrefixStore store(directory_.path(), 1 << 20, 32);
  EXPECT_TRUE(Has(store, first_, 1));
  EXPECT_FALSE(Has(store, second_, 1));
}

// Every byte of a file counts, and every length.
TEST_F(PrefixStoreTest, AnyDamageIsFoundAndTheFileRemoved) {
  PrefixStore store(directory_.path(), 1 << 20, 32);
  Save(store, first_, 1);
  const auto size = static_cast<std::streamoff>(std::filesystem::file_size(Path(first_)));
  int64_t damaged = 0;
  for (std::streamoff place = 0; place < size; ++place) {
    {
      std::fstream file(Path(first_), std::ios::in | std::ios::out | std::ios::binary);
      file.seekg(place);
      const char byte = static_cast<char>(file.get() ^ 0x20);
      file.seekp(place);
      file.put(byte);
    }
    EXPECT_FALSE(Has(store, first_, 1)) << "byte " << place;
    EXPECT_FALSE(std::filesystem::exists(Path(first_)));
    EXPECT_EQ(store.statistics().damaged, ++damaged);
    Save(store, first_, 1);
  }
  for (const std::streamoff length : {std::streamoff{0}, size - 1, size + 1}) {
    std::filesystem::resize_file(Path(first_), static_cast<uintmax_t>(length));
    EXPECT_FALSE(Has(store, first_, 1)) << length << " bytes";
    Save(store, first_, 1);
  }
  // A whole file under another's name.
  Save(store, second_, 2);
  std::filesystem::copy_file(Path(second_), Path(first_),
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_FALSE(Has(store, first_, 1));
  EXPECT_TRUE(Has(store, second_, 2));
}

TEST_F(PrefixStoreTest, TheLeastRecentlyUsedMakeRoom) {
  // A file is 64 bytes, four tokens and the page.
  constexpr int64_t kFile = 64 + 16 + 32;
  const PrefixKey third = second_.Child(tokens_);
  {
    PrefixStore store(directory_.path(), 3 * kFile - 1, 32);
    Save(store, first_, 1);
    Save(store, second_, 2);
    EXPECT_TRUE(Has(store, first_, 1));
    Save(store, third, 3);
    EXPECT_TRUE(Has(store, first_, 1));
    EXPECT_FALSE(Has(store, second_, 2));
    EXPECT_TRUE(Has(store, third, 3));
    EXPECT_EQ(store.statistics().bytes, 2 * kFile);
  }
  PrefixStore smaller(directory_.path(), kFile, 32);
  EXPECT_EQ(smaller.statistics().files, 1);
  PrefixStore none(directory_.path(), kFile - 1, 32);
  EXPECT_EQ(none.statistics().files, 0);
  EXPECT_FALSE(none.Save(first_, tokens_, Bytes(1)));
}

TEST_F(PrefixStoreTest, PiecesOfTheDeadAreRemovedAndForeignFilesLeft) {
  std::filesystem::create_directories(directory_ / "aa");
  // The parent of all processes lives; no process has the largest number.
  const auto piece = [&](const char* process) {
    return directory_ / "aa" / (std::string(64, 'a') + "." + process + ".tmp");
  };
  std::ofstream(piece("1")) << "x";
  std::ofstream(piece("2147483647")) << "x";
  std::ofstream(directory_ / "notes.txt") << "x";
  std::ofstream(directory_ / "aa" / "b.page") << "x";
  PrefixStore store(directory_.path(), 1 << 20, 32);
  EXPECT_TRUE(std::filesystem::exists(piece("1")));
  EXPECT_FALSE(std::filesystem::exists(piece("2147483647")));
  EXPECT_TRUE(std::filesystem::exists(directory_ / "notes.txt"));
  EXPECT_EQ(store.statistics().files, 0);
}

TEST_F(PrefixStoreTest, ADirectoryThatCannotBeIsAnError) {
  std::ofstream(directory_ / "file") << "x";
  EXPECT_THROW(PrefixStore(directory_ / "file" / "cache", 1 << 20, 32), Error);
}

// Two processes that share a directory: each finds what the other wrote before it started, and
// misses what the other has removed.
TEST_F(PrefixStoreTest, FilesThatAnotherRemovedAreMissed) {
  PrefixStore store(directory_.path(), 1 << 20, 32);
  Save(store, first_, 1);
  std::filesystem::remove(Path(first_));
  EXPECT_FALSE(Has(store, first_, 1));
  EXPECT_EQ(store.statistics().damaged, 0);
  Save(store, first_, 1);
  EXPECT_TRUE(Has(store, first_, 1));
}

}  // namespace
}  // namespace fathom::test
