#include "data/byte_baseline.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

namespace fathom {
namespace {

// Trained on "abab": order 0 counts a:2 b:2 (4 bytes, 2 distinct); after a: b twice; after b: a
// once.
TEST(ByteBaseline, WorkedByHand) {
  ByteBaseline model;
  model.Train("abab");
  model.Finish();
  const double a0 = (2 + 2 / 256.0) / 6;  // P(a) = P(b) with no context
  EXPECT_DOUBLE_EQ(model.Probability("", 'a'), a0);
  EXPECT_DOUBLE_EQ(model.Probability("", 'z'), (0 + 2 / 256.0) / 6);
  // (count(ab) + 1 * P(b)) / (count(a.) + 1)
  const double b1 = (2 + a0) / 3;
  EXPECT_DOUBLE_EQ(model.Probability("a", 'b'), b1);
  EXPECT_DOUBLE_EQ(model.Probability("za", 'b'), b1);  // "za" was never seen
  const double a1 = (1 + a0) / 2;
  EXPECT_DOUBLE_EQ(model.Probability("b", 'a'), a1);
  // After "ab": a once.
  const double a2 = (1 + a1) / 2;
  EXPECT_DOUBLE_EQ(model.Probability("ab", 'a'), a2);
  // The first byte has no context, the second one of length 1, the third one of length 2.
  EXPECT_DOUBLE_EQ(model.Bits("aba"), -std::log2(a0) - std::log2(b1) - std::log2(a2));
}

TEST(ByteBaseline, DocumentsAreIndependent) {
  ByteBaseline apart, joined;
  apart.Train("ab");
  apart.Train("ab");
  apart.Finish();
  joined.Train("abab");
  joined.Finish();
  // "ba" was never seen within a document.
  EXPECT_LT(apart.Probability("b", 'a'), joined.Probability("b", 'a'));
  EXPECT_DOUBLE_EQ(apart.Probability("b", 'a'), apart.Probability("", 'a'));
}

TEST(ByteBaseline, ProbabilitiesSumToOne) {
  ByteBaseline model;
  std::string text;
  for (int i = 0; i < 20000; ++i) text += static_cast<char>(i * i % 251 * (i % 3));
  model.Train(text);
  model.Train(std::string("\0\xff\0\xff", 4));
  model.Finish();
  for (const std::string& history : {std::string(), std::string("x"), text.substr(100, 2),
                                     text.substr(500, 3), text.substr(999, 4), text.substr(3000, 9),
                                     std::string("\0\xff\0", 3), std::string(4, '\xff')}) {
    double sum = 0;
    for (int c = 0; c < 256; ++c) sum += model.Probability(history, static_cast<unsigned char>(c));
    EXPECT_NEAR(sum, 1, 1e-12);
  }
}

TEST(ByteBaseline, UntrainedIsUniform) {
  ByteBaseline model;
  model.Finish();
  EXPECT_DOUBLE_EQ(model.Bits("four"), 32);
}

TEST(ByteBaseline, LearnsWhatRepeats) {
  ByteBaseline model;
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "the same line again\n";
  model.Train(text);
  model.Finish();
  EXPECT_LT(model.Bits(text) / static_cast<double>(text.size()), 0.02);
}

}  // namespace
}  // namespace fathom
