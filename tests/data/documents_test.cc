#include "data/documents.h"

#include <gtest/gtest.h>
#include <zstd.h>

#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/hash.h"
#include "data/line_reader.h"
#include "data/test_corpus.h"

namespace fathom {
namespace {

using Documents = std::vector<ReadDocument>;

std::string Compress(std::string_view text, bool checksum = false) {
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, checksum ? 1 : 0);
  packed.resize(ZSTD_compress2(context, packed.data(), packed.size(), text.data(), text.size()));
  ZSTD_freeCCtx(context);
  return packed;
}

TEST(Documents, ATextFileIsOne) {
  TemporaryDirectory directory;
  PutFile(directory / "a.txt", "one\ntwo\r\n");
  PutFile(directory / "b.txt",
          "\xEF\xBB\xBF"
          "after the mark");
  PutFile(directory / "c.txt", "bad \xff\xfe utf-8");
  PutFile(directory / "d.txt", "");
  PutFile(directory / "e.txt", " \n\t\r\n");
  ReadStatistics statistics;
  EXPECT_EQ(ReadAll({directory.path()}, &statistics), (Documents{{"a.txt", "one\ntwo\r\n"},
                                                                 {"b.txt", "after the mark"},
                                                                 {"c.txt", "bad \xff\xfe utf-8"}}));
  EXPECT_EQ(statistics.documents, 3u);
  EXPECT_EQ(statistics.empty, 2u);
  EXPECT_EQ(statistics.not_utf8, 1u);
  EXPECT_EQ(statistics.first_not_utf8, "c.txt");
}

TEST(Documents, ATextFileIsCutAtTheSeparator) {
  TemporaryDirectory directory;
  PutFile(directory / "s.txt", "one<|end|>two<|end|><|end|>three<|end|>");
  SourceSpec spec{directory.path()};
  spec.document_separator = "<|end|>";
  EXPECT_EQ(ReadAll(spec),
            (Documents{{"s.txt#0", "one"}, {"s.txt#1", "two"}, {"s.txt#3", "three"}}));
}

TEST(Documents, AJsonLineIsOne) {
  TemporaryDirectory directory;
  PutFile(directory / "d.jsonl",
          "{\"text\": \"first\", \"id\": 1}\r\n\n  \n{\"id\": [{}], \"text\": \"a\\nb \\u20ac\"}\n"
          "{\"text\": \"\"}\n{\"text\":\"no line end\"}");
  ReadStatistics statistics;
  EXPECT_EQ(ReadAll({directory.path()}, &statistics), (Documents{{"d.jsonl:1", "first"},
                                                                 {"d.jsonl:4", "a\nb \xe2\x82\xac"},
                                                                 {"d.jsonl:6", "no line end"}}));
  EXPECT_EQ(statistics.empty, 1u);
  SourceSpec spec{directory.path()};
  spec.text_field = "body";
  PutFile(directory / "d.jsonl", "{\"body\": \"other key\"}\n");
  EXPECT_EQ(ReadAll(spec), (Documents{{"d.jsonl:1", "other key"}}));
}

TEST(Documents, BadLinesSayWhere) {
  TemporaryDirectory directory;
  const std::string good = "{\"text\": \"good\"}\n";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"{\"text\": \"cut", "d.jsonl:2: is not valid JSON"},
      {"{\"text\": \"a\"} {\"text\": \"b\"}", "d.jsonl:2: is not valid JSON"},
      {"{\"text\": \"\xff\"}", "d.jsonl:2: is not valid JSON"},
      {"[1]", "d.jsonl:2: is not a JSON object"},
      {"{\"n\": 1, \"txet\": \"a\"}",
       "d.jsonl:2: has no key 'text' (text_field of a [[data.source]], or --text-field, names the "
       "key "
       "that holds the text: here 'txet')"},
      {"{}", "d.jsonl:2: has no key 'text' (text_field of a [[data.source]]"},
      {"{\"text\": 7}", "d.jsonl:2: key 'text' does not hold a string"},
      {std::string(3000, '['), "d.jsonl:2: is not valid JSON"},
  };
  for (const auto& [line, message] : cases) {
    PutFile(directory / "d.jsonl", good + line + "\n" + good);
    EXPECT_ERROR(ReadAll({directory.path()}), message);
    SourceSpec spec{directory.path()};
    spec.skip_bad_lines = true;
    ReadStatistics statistics;
    EXPECT_EQ(ReadAll(spec, &statistics),
              (Documents{{"d.jsonl:1", "good"}, {"d.jsonl:3", "good"}}));
    EXPECT_EQ(statistics.bad_lines, 1u);
  }
}

TEST(Documents, CompressedAndPlainAreTheSame) {
  TemporaryDirectory plain, packed;
  std::string lines;
  // Far more than a block of the reader, with lines of very different lengths.
  for (int i = 0; i < 3000; ++i)
    lines += "{\"text\": \"" + std::string(static_cast<size_t>(i * 31 % 1500 + 1), 'a' + i % 26) +
             "\"}\n";
  lines += "{\"text\": \"" + std::string(1 << 20, 'L') + "\"}\n{\"text\":\"last\"}";
  PutFile(plain / "d.jsonl", lines);
  // Two frames, cut in the middle of a line, as `cat a.zst b.zst` makes them; and an empty one.
  const size_t half = lines.size() / 2;
  PutFile(packed / "d.jsonl.zst",
          Compress(lines.substr(0, half)) + Compress("") + Compress(lines.substr(half), true));
  Documents expected = ReadAll({plain.path()}), found = ReadAll({packed.path()});
  ASSERT_EQ(expected.size(), 3002u);
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) ASSERT_EQ(found[i].text, expected[i].text);
}

TEST(Documents, DamagedCompressionIsAnError) {
  TemporaryDirectory directory;
  std::string lines;
  for (int i = 0; i < 1000; ++i) lines += "{\"text\": \"line " + std::to_string(i * i) + "\"}\n";
  const std::string packed = Compress(lines, true);
  PutFile(directory / "d.jsonl.zst", packed.substr(0, packed.size() - 9));
  EXPECT_ERROR(ReadAll({directory.path()}), "d.jsonl.zst: ends in the middle of a zstd frame");
  PutFile(directory / "d.jsonl.zst", packed + "rubbish at the end");
  EXPECT_ERROR(ReadAll({directory.path()}), "is not valid zstd data near byte");
  PutFile(directory / "d.jsonl.zst", lines);
  EXPECT_ERROR(ReadAll({directory.path()}), "is not valid zstd data near byte 0");
  std::string flipped = packed;
  flipped[flipped.size() / 2] = static_cast<char>(flipped[flipped.size() / 2] ^ 0x10);
  PutFile(directory / "d.jsonl.zst", flipped);
  EXPECT_ERROR(ReadAll({directory.path()}), "d.jsonl.zst");
}

// zstd ends a frame with the low half of the XXH64 of its content: the original's own value.
TEST(Hash64, AgreesWithTheChecksumInsideZstd) {
  std::string text;
  for (int i = 0; i < 200; ++i) {
    const std::string packed = Compress(text, true);
    uint32_t stored;
    std::memcpy(&stored, packed.data() + packed.size() - 4, 4);
    EXPECT_EQ(static_cast<uint32_t>(HashOf(text)), stored) << i;
    text += static_cast<char>(i * 89 + 3);
  }
}

TEST(HeldOut, IsAStableChoiceOfAboutTheFraction) {
  int held = 0;
  for (int i = 0; i < 10000; ++i) {
    const std::string name = "folder/file-" + std::to_string(i);
    held += IsHeldOut(name, 1, 0.05) ? 1 : 0;
    // A larger fraction keeps what a smaller one held.
    if (IsHeldOut(name, 1, 0.05)) {
      EXPECT_TRUE(IsHeldOut(name, 1, 0.2));
    }
    EXPECT_FALSE(IsHeldOut(name, 1, 0));
    EXPECT_TRUE(IsHeldOut(name, 1, 1));
  }
  // Five standard deviations of a binomial count.
  EXPECT_NEAR(held, 500, 5 * std::sqrt(10000 * 0.05 * 0.95));
}

}  // namespace
}  // namespace fathom
