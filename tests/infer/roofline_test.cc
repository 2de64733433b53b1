#include "infer/roofline.h"

#include <gtest/gtest.h>

#include "infer/benchmark.h"

namespace fathom::test {
namespace {

// A model whose bytes are easy to add up: 100 dense, 40 of the head, 8 experts of 10 each of which
// a token takes 2, a module of 20 dense and half as many expert bytes, and 3 bytes of cache a layer
// of which there are 2.
ForwardFloor Small() {
  ForwardFloor floor;
  floor.dense_bytes = 100;
  floor.head_bytes = 40;
  floor.expert_bytes = 80;
  floor.mtp_dense_bytes = 20;
  floor.mtp_expert_bytes = 40;
  floor.experts = 8;
  floor.chosen = 2;
  floor.cache_row_bytes = 6;
  floor.mtp_row_bytes = 3;
  return floor;
}

TEST(ForwardFloor, ExpertsOfABatchAreWhatItsTokensChooseOnAverage) {
  EXPECT_DOUBLE_EQ(Small().WeightBytes(1), 100 + 40 + 20);
  // 1 - (3/4)^2 = 7/16 of the experts.
  EXPECT_DOUBLE_EQ(Small().WeightBytes(2), 100 + 40 + 35);
  EXPECT_DOUBLE_EQ(Small().MtpBytes(1), 20 + 40 + 10);
}

TEST(ForwardFloor, AStepWithGuessesReadsItsRowsAndTheModuleOnceAGuess) {
  EXPECT_DOUBLE_EQ(Small().DraftedOverPlainBytes(1, 1, 0), (175.0 + 70) / 160);
  // Ten rows of cache: once for the model's layers, once a guess for the module's.
  EXPECT_DOUBLE_EQ(Small().DraftedOverPlainBytes(1, 1, 10), (175.0 + 60 + 70 + 30) / (160 + 60));
  // Three tokens choose 1 - (3/4)^3 = 37/64 of the experts.
  EXPECT_DOUBLE_EQ(Small().DraftedOverPlainBytes(1, 2, 0), (140 + 46.25 + 2 * 70) / 160);
}

TEST(BenchmarkTimes, ACycleWritesOneTokenAndTheGuessesThatHeld) {
  BenchmarkTimes times;
  EXPECT_DOUBLE_EQ(times.TokensPerCycle(12), 1);
  times.guessed = {8, 8};
  times.accepted = {3, 1};
  EXPECT_DOUBLE_EQ(times.TokensPerCycle(12), 12.0 / 8);
}

}  // namespace
}  // namespace fathom::test
