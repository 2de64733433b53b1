#include "data/training_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "base/error.h"
#include "data/test_corpus.h"

namespace fathom {
namespace {

constexpr int32_t kEnd = 1, kBegin = 2, kFimBegin = 3, kFimHole = 4, kFimEnd = 5, kFirst = 10;

using Documents = std::vector<std::vector<int32_t>>;

class TrainingRowsTest : public testing::Test {
 protected:
  TrainingRowsTest() {
    options_.sequence_length = 16;
    options_.vocabulary = 60000;
    options_.packing.end_token = kEnd;
    options_.packing.seed = 9;
  }

  TrainingSource Source(const std::string& name, const Documents& documents, double weight = 1) {
    return {name, weight, MakeStore(directory_ / name, documents, 60000)};
  }

  // Every (token, target) pair of level `level` that counts, over these rows.
  static std::vector<std::pair<int32_t, int32_t>> Pairs(const TokenRows& batch, int64_t level) {
    std::vector<std::pair<int32_t, int32_t>> pairs;
    for (int64_t row = 0; row < batch.rows; ++row) {
      for (int64_t i = 0; i < batch.length; ++i) {
        const int32_t target = batch.Target(level, row, i);
        if (target != TokenRows::kIgnored) pairs.emplace_back(batch.Token(row, i), target);
      }
    }
    std::sort(pairs.begin(), pairs.end());
    return pairs;
  }

  static uint64_t EpochRows(const TrainingRows& rows, size_t source) {
    return rows.UseAfter(0)[source].epoch_rows;
  }

  TokenRows ReadEpoch(TrainingRows& rows, uint64_t epoch) {
    TokenRows batch;
    rows.Read(epoch * EpochRows(rows, 0), static_cast<int64_t>(EpochRows(rows, 0)), batch);
    return batch;
  }

  TemporaryDirectory directory_;
  TrainingRowsOptions options_;
};

// With the mask, what an epoch predicts is known in full: within each document, every token from
// its predecessor, and the end token from the last one; and for each further level likewise.
TEST_F(TrainingRowsTest, AnEpochPredictsEveryTokenOfEveryDocumentOnce) {
  const Documents documents = DistinctDocuments(150, 60, kFirst);
  const auto source = Source("a", documents);
  for (const int32_t begin : {-1, kBegin}) {
    for (const int64_t length : {1, 5, 16, 100}) {
      for (const int64_t depth : {0, 1, 3}) {
        options_.packing.begin_token = begin;
        options_.sequence_length = length;
        options_.depth = depth;
        TrainingRows rows({source}, options_);
        for (int64_t level = 0; level <= depth; ++level) {
          std::vector<std::pair<int32_t, int32_t>> expected;
          for (auto document : documents) {
            if (begin >= 0) document.insert(document.begin(), begin);
            document.push_back(kEnd);
            for (size_t i = 0; i + 1 + static_cast<size_t>(level) < document.size(); ++i)
              expected.emplace_back(document[i], document[i + 1 + static_cast<size_t>(level)]);
          }
          std::sort(expected.begin(), expected.end());
          for (const uint64_t epoch : {0, 1, 5})
            ASSERT_EQ(Pairs(ReadEpoch(rows, epoch), level), expected) << length << " " << depth;
        }
      }
    }
  }
}

TEST_F(TrainingRowsTest, WithoutTheMaskEveryTokenButTheFirstIsPredicted) {
  const Documents documents = DistinctDocuments(150, 60, kFirst);
  options_.document_mask = false;
  options_.depth = 1;
  TrainingRows rows({Source("a", documents)}, options_);
  const TokenRows batch = ReadEpoch(rows, 0);
  std::multiset<int32_t> all, predicted;
  for (const auto& document : documents) {
    all.insert(document.begin(), document.end());
    all.insert(kEnd);
  }
  for (const auto& [token, target] : Pairs(batch, 0)) predicted.insert(target);
  EXPECT_EQ(predicted.size() + 1, all.size());
  EXPECT_TRUE(std::includes(all.begin(), all.end(), predicted.begin(), predicted.end()));
  EXPECT_EQ(Pairs(batch, 1).size() + 2, all.size());
  ASSERT_EQ(batch.segments.size(), static_cast<size_t>(batch.rows));
  for (int64_t row = 0; row < batch.rows; ++row) {
    EXPECT_EQ(batch.segments[static_cast<size_t>(row)].row, row);
    EXPECT_EQ(batch.segments[static_cast<size_t>(row)].length, 16);
  }
}

TEST_F(TrainingRowsTest, SegmentsCoverRowsAndEndWithDocuments) {
  TrainingRows rows({Source("a", DistinctDocuments(100, 40, kFirst))}, options_);
  const TokenRows batch = ReadEpoch(rows, 2);
  int64_t row = 0, next = 0;
  for (const Segment& segment : batch.segments) {
    ASSERT_EQ(segment.row, row);
    ASSERT_EQ(segment.begin, next);
    ASSERT_GT(segment.length, 0);
    next += segment.length;
    for (int64_t i = segment.begin; i < next - 1; ++i) {
      // Ids rise by one within a document: one document, and all of it without a gap.
      if (batch.Token(row, i + 1) != kEnd) {
        ASSERT_EQ(batch.Token(row, i + 1), batch.Token(row, i) + 1);
      }
      ASSERT_NE(batch.Token(row, i), kEnd);
    }
    ASSERT_TRUE(next == batch.length || batch.Token(row, next - 1) == kEnd);
    if (next == batch.length) {
      ++row;
      next = 0;
    }
  }
  EXPECT_EQ(row, batch.rows);
}

TEST_F(TrainingRowsTest, TargetsAreTheTokensThatFollow) {
  options_.depth = 2;
  TrainingRows rows({Source("a", DistinctDocuments(100, 40, kFirst))}, options_);
  const TokenRows batch = ReadEpoch(rows, 0);
  for (int64_t level = 0; level <= 2; ++level) {
    for (int64_t row = 0; row < batch.rows; ++row) {
      for (int64_t i = 0; i < batch.length; ++i) {
        const int32_t target = batch.Target(level, row, i);
        if (target != TokenRows::kIgnored) {
          ASSERT_EQ(target, batch.Token(row, i + 1 + level));
        }
      }
    }
  }
}

TEST_F(TrainingRowsTest, ARowIsAFunctionOfItsNumber) {
  const auto make = [&](int i) {
    const std::string n = std::to_string(i);
    options_.packing.fill_in_the_middle = {0.3, kFimBegin, kFimHole, kFimEnd};
    return TrainingRows({Source("a" + n, DistinctDocuments(80, 50, kFirst), 2),
                         Source("b" + n, DistinctDocuments(30, 20, 20000), 1)},
                        options_);
  };
  TrainingRows whole = make(0), resumed = make(1);
  EXPECT_EQ(whole.Fingerprint(), resumed.Fingerprint());
  constexpr int64_t kBatch = 6;
  std::vector<TokenRows> batches(120);
  for (size_t step = 0; step < batches.size(); ++step)
    whole.Read(step * kBatch, kBatch, batches[step]);
  // From any step, in any order, over epochs.
  for (const size_t step : {119, 0, 57, 58, 3}) {
    TokenRows batch;
    resumed.Read(step * kBatch, kBatch, batch);
    EXPECT_EQ(batch.tokens, batches[step].tokens);
    EXPECT_EQ(batch.targets, batches[step].targets);
    ASSERT_EQ(batch.segments.size(), batches[step].segments.size());
    // One row at a time.
    for (int64_t row = 0; row < kBatch; ++row) {
      TokenRows single;
      resumed.Read(step * kBatch + static_cast<uint64_t>(row), 1, single);
      for (int64_t i = 0; i < batch.length; ++i) {
        ASSERT_EQ(single.Token(0, i), batch.Token(row, i));
        ASSERT_EQ(single.Target(0, 0, i), batch.Target(0, row, i));
      }
    }
  }
}

TEST_F(TrainingRowsTest, EpochsAndSeedsDiffer) {
  const auto source = Source("a", DistinctDocuments(80, 50, kFirst));
  TrainingRows rows({source}, options_);
  const TokenRows first = ReadEpoch(rows, 0), second = ReadEpoch(rows, 1);
  EXPECT_NE(first.tokens, second.tokens);
  const uint64_t fingerprint = rows.Fingerprint();
  options_.packing.seed = 10;
  TrainingRows other({source}, options_);
  EXPECT_NE(ReadEpoch(other, 0).tokens, first.tokens);
  EXPECT_NE(other.Fingerprint(), fingerprint);
}

// Two documents of 100 rows: a batch should not come from one of them only.
TEST_F(TrainingRowsTest, RowsOfALongDocumentAreSpread) {
  Documents documents(2);
  for (int32_t i = 0; i < 3200; ++i) documents[static_cast<size_t>(i / 1600)].push_back(kFirst + i);
  TrainingRows rows({Source("a", documents)}, options_);
  TokenRows batch;
  rows.Read(0, 40, batch);
  int64_t of_first = 0;
  for (int64_t row = 0; row < 40; ++row) of_first += batch.Token(row, 0) < kFirst + 1600 ? 1 : 0;
  // Hypergeometric: 20 expected, standard deviation below 3.2.
  EXPECT_NEAR(of_first, 20, 15);
}

TEST_F(TrainingRowsTest, MixesByWeightAndReportsEpochs) {
  TrainingRows rows({Source("large", DistinctDocuments(100, 60, kFirst), 3),
                     Source("small", DistinctDocuments(20, 20, 20000), 1)},
                    options_);
  TokenRows batch;
  rows.Read(0, 400, batch);
  int64_t of_small = 0;
  for (int64_t row = 0; row < 400; ++row) {
    const auto* begin = batch.tokens.data() + row * 17;
    of_small += *std::max_element(begin, begin + 17) >= 20000 ? 1 : 0;
  }
  EXPECT_EQ(of_small, 100);
  const auto uses = rows.UseAfter(400);
  ASSERT_EQ(uses.size(), 2u);
  EXPECT_EQ(uses[0].rows, 300u);
  EXPECT_EQ(uses[1].name, "small");
  EXPECT_EQ(uses[1].rows, 100u);
  EXPECT_DOUBLE_EQ(uses[1].epochs(), 100.0 / static_cast<double>(EpochRows(rows, 1)));
}

TEST_F(TrainingRowsTest, FillInTheMiddleRearrangesTheShareAndLosesNothing) {
  const Documents documents = DistinctDocuments(200, 50, kFirst);
  options_.packing.fill_in_the_middle = {0.25, kFimBegin, kFimHole, kFimEnd};
  options_.packing.begin_token = kBegin;
  const auto source = Source("a", documents);
  std::set<std::vector<int32_t>> seen;
  for (const uint64_t epoch : {0, 1}) {
    const PackedStream stream(source.store, options_.packing, epoch);
    std::vector<int32_t> tokens(stream.length());
    std::vector<uint64_t> places(stream.length());
    stream.Copy(0, stream.length(), tokens.data(), places.data());
    Documents found;
    int rearranged = 0;
    for (size_t begin = 0; begin < tokens.size();) {
      const size_t end = static_cast<size_t>(
          std::find_if(places.begin() + static_cast<std::ptrdiff_t>(begin), places.end(),
                       [&](uint64_t place) { return place != places[begin]; }) -
          places.begin());
      ASSERT_EQ(tokens[begin], kBegin);
      ASSERT_EQ(tokens[end - 1], kEnd);
      std::vector<int32_t> body(tokens.begin() + static_cast<std::ptrdiff_t>(begin) + 1,
                                tokens.begin() + static_cast<std::ptrdiff_t>(end) - 1);
      if (body[0] == kFimBegin) {
        ++rearranged;
        seen.insert(body);
        const auto hole = std::find(body.begin(), body.end(), kFimHole);
        const auto last = std::find(hole, body.end(), kFimEnd);
        ASSERT_NE(last, body.end());
        std::vector<int32_t> original(body.begin() + 1, hole);  // prefix
        original.insert(original.end(), last + 1, body.end());  // middle
        original.insert(original.end(), hole + 1, last);        // suffix
        body = original;
      }
      found.push_back(body);
      begin = end;
    }
    EXPECT_EQ(rearranged, 50);
    std::sort(found.begin(), found.end());
    Documents expected = documents;
    std::sort(expected.begin(), expected.end());
    EXPECT_EQ(found, expected);
    // Any part of the stream is that part of the whole.
    for (uint64_t begin = 0; begin < stream.length(); begin += 97) {
      const uint64_t count = std::min<uint64_t>(begin % 131, stream.length() - begin);
      std::vector<int32_t> part(count);
      std::vector<uint64_t> part_places(count);
      stream.Copy(begin, count, part.data(), part_places.data());
      ASSERT_TRUE(std::equal(part.begin(), part.end(),
                             tokens.begin() + static_cast<std::ptrdiff_t>(begin)));
      ASSERT_TRUE(std::equal(part_places.begin(), part_places.end(),
                             places.begin() + static_cast<std::ptrdiff_t>(begin)));
    }
  }
  EXPECT_GT(seen.size(), 90u);  // other documents and other cuts in each epoch
}

TEST_F(TrainingRowsTest, TooLittleTextSaysHowMuchIsMissing) {
  const auto source = Source("a", {{10, 11, 12}, {13, 14}});  // 7 tokens with the ends
  options_.sequence_length = 6;
  EXPECT_EQ(EpochRows(TrainingRows({source}, options_), 0), 1u);
  options_.sequence_length = 7;
  EXPECT_ERROR(TrainingRows({source}, options_),
               "a: is too small for one row: it has 7 tokens (its 2 documents with their border "
               "tokens), a row needs 8");
  options_.sequence_length = 3;
  options_.batch_rows = 2;
  EXPECT_EQ(EpochRows(TrainingRows({source}, options_), 0), 2u);
  options_.batch_rows = 3;
  EXPECT_ERROR(TrainingRows({source}, options_),
               "is too small for one batch: it has 7 tokens (its 2 documents with their border "
               "tokens), which make 2 rows of 3, and a batch takes 3 of its rows");
  EXPECT_ERROR(TrainingRows({Source("none", {})}, options_), "none: holds no document");
}

TEST_F(TrainingRowsTest, WhatDoesNotFitIsAnError) {
  const auto source = Source("a", DistinctDocuments(80, 50, kFirst));
  options_.vocabulary = 100;
  EXPECT_ERROR(TrainingRows({source}, options_),
               "a: was tokenised for a vocabulary of 60000, the model has 100");
  options_.vocabulary = 60000;
  options_.packing.end_token = 60000;
  EXPECT_ERROR(TrainingRows({source}, options_), "end-of-document token: is token 60000");
  options_.packing.end_token = kEnd;
  options_.packing.fill_in_the_middle.rate = 0.1;
  EXPECT_ERROR(TrainingRows({source}, options_), "fill-in-the-middle: is token -1");
  options_.packing.fill_in_the_middle.rate = 1.1;
  EXPECT_ERROR(TrainingRows({source}, options_), "the rate is 1.1");
  options_.packing.fill_in_the_middle.rate = 0;
  options_.sequence_length = 0;
  EXPECT_ERROR(TrainingRows({source}, options_), "rows of 0 tokens");
}

}  // namespace
}  // namespace fathom
