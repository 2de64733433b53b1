#include "data/evaluation_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "data/test_corpus.h"

namespace fathom {
namespace {

constexpr int32_t kBegin = 2, kFirst = 10;

TEST(EvaluationRows, EveryTokenIsScoredOnceFromItsOwnDocument) {
  TemporaryDirectory directory;
  const auto documents = DistinctDocuments(120, 70, kFirst);
  const auto store = MakeStore(directory / "a", documents, 60000);
  for (const int32_t begin : {-1, kBegin}) {
    for (const int64_t length : {1, 7, 16, 200}) {
      for (const int64_t context : {int64_t{0}, length / 2, length - 1}) {
        EvaluationOptions options;
        options.sequence_length = length;
        options.context = context;
        options.begin_token = begin;
        options.vocabulary = 60000;
        const EvaluationRows rows(store, options);
        EXPECT_EQ(rows.documents(), 120u);
        EXPECT_EQ(rows.bytes(), store->bytes());
        std::map<int32_t, int> scored;
        for (int64_t first = 0; first < rows.rows(); first += 3) {
          TokenRows batch;
          rows.Read(first, std::min<int64_t>(3, rows.rows() - first), batch);
          int64_t row = 0, next = 0;
          for (const Segment& segment : batch.segments) {
            ASSERT_EQ(segment.row, row);
            ASSERT_EQ(segment.begin, next);
            next += segment.length;
            int64_t contexts = 0;
            for (int64_t i = segment.begin; i < next; ++i) {
              const int32_t target = batch.Target(0, row, i);
              const int32_t token = batch.Token(row, i);
              if (target == TokenRows::kIgnored) {
                ++contexts;
                continue;
              }
              ++scored[target];
              if (token != kBegin) {
                ASSERT_EQ(target, token + 1);
              }
              if (i + 1 < next) {
                ASSERT_EQ(batch.Token(row, i + 1), target);
              }
            }
            ASSERT_TRUE(contexts <= context || contexts == segment.length);
            if (next == length) {
              ++row;
              next = 0;
            }
          }
          ASSERT_EQ(row, batch.rows);
        }
        size_t expected = 0;
        for (const auto& document : documents) {
          for (size_t i = begin < 0 ? 1 : 0; i < document.size(); ++i, ++expected)
            ASSERT_EQ(scored[document[i]], 1);
        }
        EXPECT_EQ(scored.size(), expected);
        EXPECT_EQ(rows.targets(), expected);
      }
    }
  }
}

TEST(EvaluationRows, WindowsKeepTheContextAsked) {
  TemporaryDirectory directory;
  const auto store = MakeStore(directory / "a", {{10, 11, 12, 13, 14, 15, 16, 17}}, 100);
  EvaluationOptions options;
  options.sequence_length = 4;
  options.context = 2;
  options.begin_token = kBegin;
  options.vocabulary = 100;
  const EvaluationRows rows(store, options);
  // Inputs  2 10 11 12 | 11 12 13 14 | 13 14 15 16, targets 10..13 | 14 15 | 16 17.
  ASSERT_EQ(rows.rows(), 3);
  TokenRows batch;
  rows.Read(0, 3, batch);
  EXPECT_EQ(batch.tokens,
            (std::vector<int32_t>{2, 10, 11, 12, 0, 11, 12, 13, 14, 0, 13, 14, 15, 16, 0}));
  EXPECT_EQ(batch.targets, (std::vector<int32_t>{10, 11, 12, 13, -1, -1, 14, 15, -1, -1, 16, 17}));
}

TEST(EvaluationRows, DeeperLevelsPredictWhatStandsInTheSameWindow) {
  TemporaryDirectory directory;
  const auto store = MakeStore(directory / "a", {{10, 11, 12, 13, 14}, {20, 21}}, 100);
  EvaluationOptions options;
  options.sequence_length = 4;
  options.context = 2;
  options.begin_token = kBegin;
  options.vocabulary = 100;
  options.depth = 2;
  const EvaluationRows rows(store, options);
  // Inputs  2 10 11 12 | 11 12 13 | 2 20, the second window with two tokens of context.
  ASSERT_EQ(rows.rows(), 3);
  TokenRows batch;
  rows.Read(0, 3, batch);
  EXPECT_EQ(batch.depth, 2);
  for (const auto& [row, inputs] : std::map<int64_t, std::vector<int32_t>>{
           {0, {2, 10, 11, 12}}, {1, {11, 12, 13}}, {2, {2, 20}}}) {
    for (size_t i = 0; i < inputs.size(); ++i)
      EXPECT_EQ(batch.Token(row, static_cast<int64_t>(i)), inputs[i]);
  }
  EXPECT_EQ(batch.targets, (std::vector<int32_t>{10, 11, 12, 13, -1, -1, 14, -1, 20, 21, -1, -1,
                                                 11, 12, 13, -1, -1, -1, -1, -1, 21, -1, -1, -1,
                                                 12, 13, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1}));
}

TEST(EvaluationRows, BitsPerByte) {
  TemporaryDirectory directory;
  // 5 tokens, 15 bytes.
  const auto store = MakeStore(directory / "a", {{10, 11, 12}, {13, 14}}, 64);
  EvaluationOptions options;
  options.sequence_length = 8;
  options.begin_token = kBegin;
  options.vocabulary = 64;
  // 6 bits a token: 30 bits over 15 bytes.
  EXPECT_DOUBLE_EQ(EvaluationRows(store, options).BitsPerByte(5 * std::log(64.0)), 2);
  // Without a begin token the first two tokens are charged 6 bits each.
  options.begin_token = -1;
  const EvaluationRows rows(store, options);
  EXPECT_EQ(rows.targets(), 3u);
  EXPECT_DOUBLE_EQ(rows.BitsPerByte(3 * std::log(64.0)), 2);
}

TEST(EvaluationRows, TakesAFixedPartOfManyDocuments) {
  TemporaryDirectory directory;
  const auto store = MakeStore(directory / "a", DistinctDocuments(200, 50, kFirst), 60000);
  EvaluationOptions options;
  options.sequence_length = 32;
  options.begin_token = kBegin;
  options.vocabulary = 60000;
  options.max_tokens = 1000;
  const EvaluationRows rows(store, options), again(store, options);
  EXPECT_GE(rows.targets(), 1000u);
  EXPECT_LT(rows.targets(), 1050u);
  EXPECT_LT(rows.documents(), 200u);
  EXPECT_EQ(rows.bytes(), 3 * rows.targets());
  TokenRows first, second;
  rows.Read(0, rows.rows(), first);
  again.Read(0, again.rows(), second);
  EXPECT_EQ(first.tokens, second.tokens);
}

TEST(EvaluationRows, WhatDoesNotFitIsAnError) {
  TemporaryDirectory directory;
  EvaluationOptions options;
  options.sequence_length = 8;
  options.vocabulary = 64;
  EXPECT_ERROR(EvaluationRows(MakeStore(directory / "a", {}, 64), options),
               "no document is held out");
  const auto store = MakeStore(directory / "b", {{1, 2}}, 65);
  EXPECT_ERROR(EvaluationRows(store, options),
               "tokenised for a vocabulary of 65, the model has 64");
  options.vocabulary = 65;
  options.context = 8;
  EXPECT_ERROR(EvaluationRows(store, options), "rows of 8 tokens with 8 of context");
}

}  // namespace
}  // namespace fathom
