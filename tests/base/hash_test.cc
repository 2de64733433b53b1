#include "base/hash.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace fathom {
namespace {

// Published values of XXH64: the empty string (the reference implementation's documentation), and
// those in the documentation of its Python binding.
TEST(Hash64, PublishedValues) {
  EXPECT_EQ(HashOf(""), 0xef46db3751d8e999u);
  EXPECT_EQ(HashOf("a"), 0xd24ec4f1a98c6e5bu);
  EXPECT_EQ(HashOf("abc"), 0x44bc2cf5ad770999u);
  EXPECT_EQ(HashOf("Nobody inspects the spammish repetition"), 0xfbcea83c8a378bf1u);
}

TEST(Hash64, PartsDoNotMatter) {
  std::string text;
  for (int i = 0; i < 200; ++i) text += static_cast<char>(i * 37);
  for (size_t size = 0; size <= text.size(); size += 7) {
    for (size_t step : {1, 5, 31, 32, 33, 64}) {
      Hash64 hash(99);
      for (size_t at = 0; at < size; at += step)
        hash.Update(text.data() + at, std::min(step, size - at));
      EXPECT_EQ(hash.Digest(), HashOf(std::string_view(text).substr(0, size), 99));
    }
  }
}

TEST(Hash64, EveryBitCounts) {
  std::string text(67, 'x');
  std::set<uint64_t> seen = {HashOf(text), HashOf(text, 1)};
  for (size_t bit = 0; bit < 8 * text.size(); ++bit) {
    text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << bit % 8));
    EXPECT_TRUE(seen.insert(HashOf(text)).second);
    text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << bit % 8));
  }
}

TEST(Hash64, FieldsKeepTheirBorders) {
  Hash64 first, second;
  first.UpdateField("ab");
  first.UpdateField("c");
  second.UpdateField("a");
  second.UpdateField("bc");
  EXPECT_NE(first.Digest(), second.Digest());
}

// RFC 3720, appendix B.4.
TEST(Crc32c, PublishedValues) {
  EXPECT_EQ(Crc32c(""), 0u);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  std::string ascending;
  for (int i = 0; i < 32; ++i) ascending += static_cast<char>(i);
  EXPECT_EQ(Crc32c(ascending), 0x46dd794eu);
}

}  // namespace
}  // namespace fathom
