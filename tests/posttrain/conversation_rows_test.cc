#include <gtest/gtest.h>

#include <map>

#include "base/temporary_directory.h"
#include "posttrain/sft/conversation_corpus.h"

namespace fathom::test {
namespace {

constexpr int64_t kLength = 16;

class ConversationRowsTest : public testing::Test {
 protected:
  // Sequences whose tokens are 100 * number + place; the second half of each is to be predicted.
  std::shared_ptr<const TokenStore> Store(const std::string& name, const std::vector<int>& lengths,
                                          int first_number = 1) {
    TokenStoreWriter writer(directory_ / name, 2 * kVocabulary);
    int number = first_number;
    for (const int length : lengths) {
      std::vector<int32_t> ids;
      for (int i = 0; i < length; ++i)
        ids.push_back(2 * (100 * number + i) + (2 * i >= length ? 1 : 0));
      writer.Append(ids);
      writer.EndDocument(1);
      ++number;
    }
    const TokenStoreSummary summary = writer.Finish();
    return std::make_shared<TokenStore>(directory_ / name, summary, 2 * kVocabulary);
  }

  static constexpr int64_t kVocabulary = 10000;
  ConversationLayout layout_;
  TemporaryDirectory directory_;
};

// How often each sequence is in the rows, all of it and in order.
std::map<int, int> Seen(const TokenRows& batch) {
  std::map<int, int> seen;
  int64_t row = -1, end = 0;
  for (const Segment& segment : batch.segments) {
    if (segment.row != row) {
      if (row >= 0) {
        EXPECT_EQ(end, batch.length) << "row " << row << " is not covered";
      }
      EXPECT_EQ(segment.row, row + 1);
      row = segment.row;
      end = 0;
    }
    EXPECT_EQ(segment.begin, end);
    end += segment.length;
    const int number = batch.Token(row, segment.begin) / 100;
    const int length = static_cast<int>(segment.length) + 1;
    for (int64_t i = 0; i < segment.length; ++i) {
      const auto place = static_cast<int>(i);
      if (number == 0) {
        EXPECT_EQ(batch.Token(row, segment.begin + i), 0) << "in what is free";
      } else {
        EXPECT_EQ(batch.Token(row, segment.begin + i), 100 * number + place);
      }
      for (int64_t level = 0; level <= batch.depth; ++level) {
        const int next = place + 1 + static_cast<int>(level);
        const bool target = number > 0 && next < length && 2 * next >= length;
        EXPECT_EQ(batch.Target(level, row, segment.begin + i),
                  target ? 100 * number + next : TokenRows::kIgnored)
            << "sequence " << number << ", place " << place << ", level " << level;
      }
    }
    if (number > 0) ++seen[number];
  }
  EXPECT_EQ(row + 1, batch.rows);
  return seen;
}

TEST_F(ConversationRowsTest, APassHasEverySequenceOnceAndWhole) {
  const auto store = Store("a", {2, 17, 5, 9, 3, 8, 12, 4, 6, 7, 17, 2});
  for (const int64_t depth : {0, 2}) {
    SCOPED_TRACE(depth);
    PackedDocumentRows rows(layout_, {{.store = store}},
                            {.sequence_length = kLength, .depth = depth, .seed = 3});
    const auto pass = static_cast<int64_t>(rows.RowsOf(1));
    TokenRows batch;
    rows.Read(0, pass, batch);
    const auto seen = Seen(batch);
    EXPECT_EQ(seen.size(), 12);
    for (const auto& [number, times] : seen) EXPECT_EQ(times, 1) << number;
    // 80 inputs fill five rows of 16; the best fit wastes one of six at most.
    EXPECT_LE(pass, 6);
  }
}

TEST_F(ConversationRowsTest, ARowIsAFunctionOfItsNumber) {
  const auto store = Store("a", {4, 9, 3, 8, 12, 4, 6, 7, 16, 2, 11, 13, 5});
  const PackedDocumentsOptions options{.sequence_length = kLength, .depth = 1, .seed = 9};
  PackedDocumentRows whole(layout_, {{.store = store}}, options);
  TokenRows all;
  whole.Read(0, 30, all);
  for (const int64_t first : {29, 0, 17, 8}) {
    PackedDocumentRows fresh(layout_, {{.store = store}}, options);
    TokenRows one;
    fresh.Read(static_cast<uint64_t>(first), 1, one);
    for (int64_t i = 0; i < kLength; ++i) {
      EXPECT_EQ(one.Token(0, i), all.Token(first, i)) << first;
      EXPECT_EQ(one.Target(1, 0, i), all.Target(1, first, i)) << first;
    }
  }
  // Passes differ in their order.
  const auto pass = static_cast<int64_t>(whole.RowsOf(1));
  bool differ = false;
  for (int64_t i = 0; i < kLength; ++i) differ |= all.Token(0, i) != all.Token(pass, i);
  EXPECT_TRUE(differ);
}

TEST_F(ConversationRowsTest, WeightsSayHowOftenAPassHasASequence) {
  const auto twice = Store("a", std::vector<int>(10, 5));
  const auto half = Store("b", std::vector<int>(80, 5), 11);
  PackedDocumentRows rows(layout_, {{.store = twice, .weight = 2}, {.store = half, .weight = 0.5}},
                          {.sequence_length = kLength, .depth = 0, .seed = 1});
  TokenRows batch;
  rows.Read(0, static_cast<int64_t>(rows.RowsOf(1)), batch);
  int of_half = 0;
  for (const auto& [number, times] : Seen(batch)) {
    EXPECT_EQ(times, number <= 10 ? 2 : 1) << number;
    of_half += number > 10 ? 1 : 0;
  }
  // Four standard deviations of a coin thrown 80 times are 18.
  EXPECT_NEAR(of_half, 40, 18);
}

TEST_F(ConversationRowsTest, FingerprintsTellWhatDecidesTheRows) {
  const auto store = Store("a", {4, 9, 3}), other = Store("b", {4, 9, 4});
  const PackedDocumentsOptions options{.sequence_length = kLength, .depth = 1, .seed = 9};
  const auto print = [&](std::shared_ptr<const TokenStore> of, double weight,
                         PackedDocumentsOptions with) {
    return PackedDocumentRows(layout_, {{.store = std::move(of), .weight = weight}}, with)
        .Fingerprint();
  };
  const uint64_t same = print(store, 1, options);
  EXPECT_EQ(print(store, 1, options), same);
  EXPECT_NE(print(other, 1, options), same);
  EXPECT_NE(print(store, 2, options), same);
  PackedDocumentsOptions changed = options;
  changed.seed = 10;
  EXPECT_NE(print(store, 1, changed), same);
  changed = options;
  changed.sequence_length = 17;
  EXPECT_NE(print(store, 1, changed), same);
}

}  // namespace
}  // namespace fathom::test
