// Routing, expert order and log-probabilities of the reference, against examples worked out by
// hand.

#include "backend/reference/reference_backend.h"
#include "ops/test_tensors.h"

namespace fathom::test {
namespace {

constexpr DType kF64 = DType::kF64;
constexpr DType kF32 = DType::kF32;
constexpr DType kI32 = DType::kI32;

using Values = std::vector<double>;

class ReferenceRoute : public ::testing::Test {
 protected:
  // One token whose sigmoids are these.
  void Route(const Values& scores, const Values& bias, const RouterOptions& options) {
    const auto experts = static_cast<int64_t>(scores.size());
    Values logits;
    for (const double s : scores) logits.push_back(std::log(s / (1 - s)));
    scores_ = TestTensor(kF64, {1, experts});
    ids_ = TestTensor(kI32, {1, options.top_k});
    weights_ = TestTensor(kF64, {1, options.top_k});
    run_->Route(context_, TensorOf(kF64, {1, experts}, logits), TensorOf(kF64, {experts}, bias),
                options, scores_, ids_, weights_);
    ExpectClose(scores_, TensorOf(kF64, {1, experts}, scores), 1e-14, 1e-14);
  }
  void ExpectWeights(const Values& expected) {
    ExpectClose(weights_, TensorOf(kF64, weights_.shape(), expected), 1e-14, 1e-14);
  }

  TestRun run_{CreateReferenceBackend()};
  Context& context_ = run_.context();
  TestTensor scores_, ids_, weights_;
};

TEST_F(ReferenceRoute, TakesTheLargestInOrderOfTheirIds) {
  Route({0.1, 0.6, 0.3, 0.9, 0.2}, Values(5), {.top_k = 3, .normalize = false});
  EXPECT_EQ(LoadAll(ids_), (Values{1, 2, 3}));
  ExpectWeights({0.6, 0.3, 0.9});
}

// DeepSeek-V2's gate: probabilities of all experts, a group as good as its best expert, weights as
// they are, times a factor.
TEST(ReferenceSoftmaxRoute, ScoresGroupsByTheirBestExpert) {
  TestRun run(CreateReferenceBackend());
  Values logits;
  for (const double p : {0.20, 0.21, 0.30, 0.01, 0.15, 0.13}) logits.push_back(std::log(p) + 7);
  const TestTensor scores(kF64, {1, 6}), ids(kI32, {1, 2}), weights(kF64, {1, 2});
  const RouterOptions options{.top_k = 2,
                              .groups = 3,
                              .top_groups = 1,
                              .normalize = false,
                              .scaling_factor = 16,
                              .scoring = RouterScoring::kSoftmax,
                              .group_score = GroupScore::kMaximum};
  run->Route(run.context(), TensorOf(kF64, {1, 6}, logits), {}, options, scores, ids, weights);
  ExpectClose(scores, TensorOf(kF64, {1, 6}, {0.20, 0.21, 0.30, 0.01, 0.15, 0.13}), 1e-14, 1e-14);
  EXPECT_EQ(LoadAll(ids), (Values{2, 3}));
  ExpectClose(weights, TensorOf(kF64, {1, 2}, {4.8, 0.16}), 1e-14, 1e-14);
  // By its best two the first group would win.
  RouterOptions top_two = options;
  top_two.group_score = GroupScore::kTopTwo;
  run->Route(run.context(), TensorOf(kF64, {1, 6}, logits), {}, top_two, scores, ids, weights);
  EXPECT_EQ(LoadAll(ids), (Values{0, 1}));
}

TEST_F(ReferenceRoute, NormalizesThenScales) {
  Route({0.1, 0.6, 0.3, 0.9, 0.2}, Values(5), {.top_k = 3, .scaling_factor = 2.5});
  ExpectWeights({2.5 / 3, 2.5 / 6, 2.5 / 2});
  Route({0.1, 0.6, 0.3, 0.9, 0.2}, Values(5),
        {.top_k = 3, .normalize = false, .scaling_factor = 2.5});
  ExpectWeights({1.5, 0.75, 2.25});
}

TEST_F(ReferenceRoute, TheBiasChoosesButDoesNotWeigh) {
  // With the bias: -0.2, 0.6, 0.7.
  Route({0.8, 0.6, 0.4}, {-1, 0, 0.3}, {.top_k = 1, .normalize = false});
  EXPECT_EQ(LoadAll(ids_), (Values{2}));
  ExpectWeights({0.4});
  Route({0.8, 0.6, 0.4}, {-1, 0, 0.3}, {.top_k = 2});
  EXPECT_EQ(LoadAll(ids_), (Values{1, 2}));
  ExpectWeights({0.6, 0.4});
}

TEST_F(ReferenceRoute, TiesGoToTheLowerId) {
  Route(Values(6, 0.5), Values(6), {.top_k = 3});
  EXPECT_EQ(LoadAll(ids_), (Values{0, 1, 2}));
  Route({0.25, 0.5, 0.75, 0.5, 0.5}, Values(5), {.top_k = 3});
  EXPECT_EQ(LoadAll(ids_), (Values{1, 2, 3}));
  Route(Values(6, 0.5), Values(6), {.top_k = 2, .groups = 3, .top_groups = 2});
  EXPECT_EQ(LoadAll(ids_), (Values{0, 1}));
}

TEST_F(ReferenceRoute, AGroupIsWorthItsTwoBest) {
  // 0.9 + 0.1 against 0.6 + 0.5: the group of the single best expert loses.
  Route({0.9, 0.1, 0.6, 0.5}, Values(4), {.top_k = 1, .groups = 2, .top_groups = 1});
  EXPECT_EQ(LoadAll(ids_), (Values{2}));
  // 0.5 + 0.5 (+ 0.5, which does not count) against 0.8 + 0.55 (+ 0.05).
  Route({0.5, 0.5, 0.5, 0.8, 0.55, 0.05}, Values(6), {.top_k = 2, .groups = 2, .top_groups = 1});
  EXPECT_EQ(LoadAll(ids_), (Values{3, 4}));
  // The bias counts for the groups too: 0.9 + 0.1 + 0.2 against 0.6 + 0.5.
  Route({0.9, 0.1, 0.6, 0.5}, {0, 0.2, 0, 0}, {.top_k = 1, .groups = 2, .top_groups = 1});
  EXPECT_EQ(LoadAll(ids_), (Values{0}));
  // Groups of one expert are worth that expert.
  Route({0.3, 0.9, 0.6}, Values(3), {.top_k = 2, .groups = 3, .top_groups = 2});
  EXPECT_EQ(LoadAll(ids_), (Values{1, 2}));
}

TEST_F(ReferenceRoute, BiasedBelowZeroAnExpertOfAChosenGroupIsStillChosen) {
  // A masked-out group must not look better than a negative s + bias.
  Route({0.5, 0.4, 0.3, 0.2}, Values(4, -2), {.top_k = 2, .groups = 2, .top_groups = 1});
  EXPECT_EQ(LoadAll(ids_), (Values{0, 1}));
}

TEST_F(ReferenceRoute, BalanceLossByHand) {
  // Sequence 0: tokens (3/4, 1/4) and (1/2, 1/2), both to expert 0: f = 2 / (1 * 2) * (2, 0), P =
  // (5/8, 3/8), L = 0.1 * 2 * 5/8. Sequence 1: (0.2, 0.6) to expert 1: f = (0, 2), P_1 = 3/4.
  const TestTensor scores = TensorOf(kF64, {3, 2}, {0.6, 0.2, 0.5, 0.5, 0.2, 0.6});
  const TestTensor ids = TensorOf(kI32, {3, 1}, {0, 0, 1});
  const TestTensor sequence_of = TensorOf(kI32, {3}, {0, 0, 1});
  const TestTensor balance_f(kF64, {2, 2}), loss(kF64, {2});
  run_->BalanceLoss(context_, scores, ids, sequence_of, 0.1, balance_f, loss);
  ExpectClose(loss, TensorOf(kF64, {2}, {0.125, 0.15}), 1e-14, 1e-14);
  ExpectClose(balance_f, TensorOf(kF64, {2, 2}, {0.1, 0, 0, 0.2}), 1e-14, 1e-14);
}

TEST_F(ReferenceRoute, ABalancedSequenceLosesAlpha) {
  // Every expert chosen equally often: f_i = 1, and the P_i sum to 1.
  const TestTensor scores = TensorOf(kF64, {2, 4}, {0.1, 0.9, 0.4, 0.3, 0.8, 0.2, 0.5, 0.5});
  const TestTensor ids = TensorOf(kI32, {2, 2}, {0, 1, 2, 3});
  const TestTensor balance_f(kF64, {1, 4}), loss(kF64, {1});
  run_->BalanceLoss(context_, scores, ids, TensorOf(kI32, {2}, {0, 0}), 0.3, balance_f, loss);
  EXPECT_NEAR(Load(loss, 0), 0.3, 1e-15);
}

class ReferenceExperts : public ::testing::Test {
 protected:
  // Tokens 0 and 2 go to expert 0, 1 and 2 to expert 1, 0 and 1 to expert 2, none to expert 3.
  void SetUp() override {
    rows_.token_of_row = token_of_row_;
    rows_.row_of_slot = row_of_slot_;
    run_->SortByExpert(context_, TensorOf(kI32, {3, 2}, {0, 2, 1, 2, 0, 1}), 4, &rows_);
  }

  TestRun run_{CreateReferenceBackend()};
  Context& context_ = run_.context();
  TestTensor token_of_row_{kI32, {6}}, row_of_slot_{kI32, {3, 2}};
  ExpertRows rows_;
};

TEST_F(ReferenceExperts, SortedByExpertThenToken) {
  EXPECT_EQ(rows_.offsets, (std::vector<int64_t>{0, 2, 4, 6, 6}));
  EXPECT_EQ(LoadAll(token_of_row_), (Values{0, 2, 1, 2, 0, 1}));
  EXPECT_EQ(LoadAll(row_of_slot_), (Values{0, 4, 2, 5, 1, 3}));
}

TEST_F(ReferenceExperts, NoTokens) {
  ExpertRows rows;
  const TestTensor token_of_row(kI32, {0}), row_of_slot(kI32, {0, 2});
  rows.token_of_row = token_of_row;
  rows.row_of_slot = row_of_slot;
  run_->SortByExpert(context_, TestTensor(kI32, {0, 2}), 2, &rows);
  EXPECT_EQ(rows.offsets, (std::vector<int64_t>{0, 0, 0}));
}

TEST_F(ReferenceExperts, SlotsToRowsAndBack) {
  const TestTensor slots = TensorOf(kF32, {3, 2}, {10, 11, 20, 21, 30, 31});
  const TestTensor by_row(kF32, {6}), back(kF32, {3, 2});
  run_->PermuteSlots(context_, rows_, false, slots, by_row);
  EXPECT_EQ(LoadAll(by_row), (Values{10, 30, 20, 31, 11, 21}));
  run_->PermuteSlots(context_, rows_, true, by_row, back);
  ExpectSameBits(back, slots);
}

TEST_F(ReferenceExperts, CombineByHand) {
  // Row r of y is r: token 0 has rows 0 and 4, token 1 rows 2 and 5, token 2 rows 1 and 3.
  const TestTensor y = TensorOf(kF32, {6, 1}, {0, 1, 2, 3, 4, 5});
  const TestTensor x = TensorOf(kF32, {3, 1}, {100, 200, 300});
  run_->CombineExperts(context_, y, rows_, {}, {}, x);
  EXPECT_EQ(LoadAll(x), (Values{104, 207, 304}));
  run_->CombineExperts(context_, y, rows_, TensorOf(kF32, {3, 2}, {1, 0.5, 2, 1, 0, 3}),
                       TensorOf(kF32, {3, 1}, {1000, 2000, 3000}), x);
  EXPECT_EQ(LoadAll(x), (Values{1106, 2216, 3313}));
}

TEST_F(ReferenceExperts, DispatchAndCombineReturnWeightedTokens) {
  RandomStream random(11);
  const TestTensor x = RandomTensor(random, kF64, {3, 5}, 1, 2), gathered(kF64, {6, 5});
  run_->GatherRows(context_, x, rows_.token_of_row, gathered);
  // Weights that sum to 1 give every token back.
  const TestTensor out(kF64, {3, 5}, 1);
  run_->CombineExperts(context_, gathered, rows_,
                       TensorOf(kF64, {3, 2}, {0.25, 0.75, 0.5, 0.5, 1, 0}), {}, out);
  ExpectClose(out, x, 1e-15, 1e-15);
  out.ExpectSurroundingsUntouched();
}

TEST_F(ReferenceExperts, LogProbByHand) {
  // (ln 3, 0): probabilities 3/4 and 1/4; at temperature 1/2 (ln 9, 0): 9/10 and 1/10.
  const double ln3 = 1.0986122886681098;
  const TestTensor logits = TensorOf(kF64, {3, 2}, {ln3, 0, ln3, 0, ln3, 0});
  const TestTensor targets = TensorOf(kI32, {3}, {0, 1, -1}), logprob(kF64, {3}), lse(kF64, {3});
  run_->LogProb(context_, logits, 1, targets, logprob, lse);
  const double ln4 = 1.3862943611198906, ln10 = 2.302585092994046;
  ExpectClose(logprob, TensorOf(kF64, {3}, {ln3 - ln4, -ln4, 0}), 1e-15, 1e-15);
  ExpectClose(lse, TensorOf(kF64, {3}, {ln4, ln4, ln4}), 1e-15, 1e-15);
  run_->LogProb(context_, logits, 0.5, targets, logprob, lse);
  ExpectClose(logprob, TensorOf(kF64, {3}, {2 * ln3 - ln10, -ln10, 0}), 1e-15, 1e-15);
  EXPECT_EQ(Load(logprob, 2), 0);

  const TestTensor alone(kF64, {3});
  run_->LogProb(context_, logits, 0.5, {}, {}, alone);
  ExpectSameBits(alone, lse);
}

TEST_F(ReferenceExperts, LogProbOfLargeAndMaskedLogits) {
  const double infinity = std::numeric_limits<double>::infinity();
  const TestTensor logits = TensorOf(kF64, {2, 3}, {5000, 5000, -5000, 1, -infinity, 1});
  const TestTensor logprob(kF64, {2}), lse(kF64, {2});
  run_->LogProb(context_, logits, 1, TensorOf(kI32, {2}, {1, 2}), logprob, lse);
  const double ln2 = 0.69314718055994531;
  ExpectClose(logprob, TensorOf(kF64, {2}, {-ln2, -ln2}), 1e-12, 1e-12);
  ExpectClose(lse, TensorOf(kF64, {2}, {5000 + ln2, 1 + ln2}), 1e-15, 1e-15);
}

TEST_F(ReferenceExperts, AnIgnoredTargetHasNoGradient) {
  RandomStream random(12);
  const TestTensor logits = RandomTensor(random, kF64, {2, 4}), lse(kF64, {2}), logprob(kF64, {2});
  const TestTensor targets = TensorOf(kI32, {2}, {-1, 3});
  run_->LogProb(context_, logits, 1, targets, logprob, lse);
  const TestTensor dlogits = RandomTensor(random, kF64, {2, 4});
  run_->LogProbBackward(context_, TensorOf(kF64, {2}, {5, 1}), logits, 1, targets, lse, dlogits);
  EXPECT_EQ(LoadAll(dlogits.Rows(0, 1)), Values(4));
  double sum = 0;
  for (const double value : LoadAll(dlogits.Rows(1, 2))) sum += value;
  EXPECT_NEAR(sum, 0, 1e-15);
}

}  // namespace
}  // namespace fathom::test
