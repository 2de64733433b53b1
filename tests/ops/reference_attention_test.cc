// Rotary embedding and attention of the reference: examples worked out by hand and the invariants
// that models and caches rely on.

#include <numbers>

#include "backend/reference/reference_backend.h"
#include "ops/test_tensors.h"

namespace fathom::test {
namespace {

constexpr DType kF64 = DType::kF64;
constexpr DType kI32 = DType::kI32;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

using Values = std::vector<double>;

class ReferenceRope : public ::testing::Test {
 protected:
  TestTensor Table(const Values& positions, const Values& inv_freq, double scale = 1) {
    const auto tokens = static_cast<int64_t>(positions.size());
    const TestTensor table(kF64, {tokens, 2 * static_cast<int64_t>(inv_freq.size())});
    run_->RopeTable(context_, TensorOf(kI32, {tokens}, positions), inv_freq, scale, table);
    return table;
  }
  TestTensor Rotate(const TestTensor& x, const TestTensor& table, bool inverse = false,
                    RopeLayout layout = RopeLayout::kInterleaved) {
    const TestTensor y(kF64, x.shape(), 1);
    run_->Rope(context_, x, table, layout, inverse, y);
    y.ExpectSurroundingsUntouched();
    return y;
  }

  RandomStream random_{9};
  TestRun run_{CreateReferenceBackend()};
  Context& context_ = run_.context();
};

TEST_F(ReferenceRope, PairsAreNeighboursAndTurnAtTheirOwnFrequency) {
  // Token 1 turns the first pair by a right angle and the second by 60 degrees; token 2 by twice
  // that.
  const double right = std::numbers::pi / 2, sixty = std::numbers::pi / 3;
  const TestTensor table = Table({0, 1, 2}, {right, sixty}, 2);
  const double half_root3 = 0.86602540378443865;
  ExpectClose(
      table,
      TensorOf(kF64, {3, 4}, {2, 0, 2, 0, 0, 2, 1, 2 * half_root3, -2, 0, -1, 2 * half_root3}),
      1e-15, 1e-15);
  const TestTensor x = TensorOf(kF64, {3, 1, 4}, {1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4});
  const TestTensor y = Rotate(x, Table({0, 1, 2}, {right, sixty}));
  ExpectClose(y,
              TensorOf(kF64, {3, 1, 4},
                       {1, 2, 3, 4,                                       //
                        -2, 1, 1.5 - 4 * half_root3, 3 * half_root3 + 2,  //
                        -1, -2, -1.5 - 4 * half_root3, 3 * half_root3 - 2}),
              1e-15, 1e-15);
}

TEST_F(ReferenceRope, OrPairsAreElementsHalfTheVectorApart) {
  const double right = std::numbers::pi / 2, sixty = std::numbers::pi / 3;
  const double half_root3 = 0.86602540378443865;
  const TestTensor x = TensorOf(kF64, {1, 1, 4}, {1, 3, 2, 4});
  ExpectClose(Rotate(x, Table({1}, {right, sixty}), false, RopeLayout::kHalves),
              TensorOf(kF64, {1, 1, 4}, {-2, 1.5 - 4 * half_root3, 1, 3 * half_root3 + 2}), 1e-15,
              1e-15);
}

TEST_F(ReferenceRope, KeepsNormsAndTurnsBack) {
  const TestTensor table = Table({5, 0, 163839}, {1, 0.03, 0.0001});
  const TestTensor x = RandomTensor(random_, kF64, {3, 4, 6}, 1, 2);
  const TestTensor y = Rotate(x, table);
  for (int t = 0; t < 3; ++t) {
    for (int h = 0; h < 4; ++h) {
      for (int j = 0; j < 6; j += 2) {
        EXPECT_NEAR(std::hypot(Load(y, t, h, j), Load(y, t, h, j + 1)),
                    std::hypot(Load(x, t, h, j), Load(x, t, h, j + 1)), 1e-14);
      }
    }
  }
  ExpectClose(Rotate(y, table, true), x, 1e-14, 1e-14);
}

TEST_F(ReferenceRope, WorksInPlace) {
  const TestTensor table = Table({3, 8}, {0.7, 0.2}), x = RandomTensor(random_, kF64, {2, 3, 4});
  const TestTensor expected = Copy(Rotate(x, table));
  run_->Rope(context_, x, table, RopeLayout::kInterleaved, false, x);
  ExpectSameBits(x, expected);
}

TEST_F(ReferenceRope, ScoresDependOnTheDistanceAlone) {
  const Values inv_freq{1, 0.1, 0.01};
  const TestTensor q = RandomTensor(random_, kF64, {1, 1, 6}),
                   k = RandomTensor(random_, kF64, {1, 1, 6});
  const auto score = [&](double query_position, double key_position) {
    const Values a = LoadAll(Rotate(q, Table({query_position}, inv_freq)));
    const Values b = LoadAll(Rotate(k, Table({key_position}, inv_freq)));
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
  };
  EXPECT_NEAR(score(10, 3), score(1007, 1000), 1e-11);
  EXPECT_GT(std::abs(score(10, 3) - score(11, 3)), 1e-3);
}

class ReferenceAttention : public ::testing::Test {
 protected:
  // One sequence whose queries are all rows of q and whose keys are one block.
  TestTensor Attend(const ConstTensor& q, const ConstTensor& keys, const ConstTensor& values,
                    double scale = 1, int64_t first_position = 0) {
    const KeyBlock block{keys, values};
    const AttentionSequence sequence{0, q.dim(0), first_position, std::span(&block, 1)};
    const TestTensor out(kF64, {q.dim(0), q.dim(1), values.dim(2)});
    lse_ = TestTensor(kF64, {q.dim(0), q.dim(1)});
    run_->Attention(context_, q, std::span(&sequence, 1), scale, out, lse_);
    return out;
  }

  RandomStream random_{10};
  TestRun run_{CreateReferenceBackend()};
  Context& context_ = run_.context();
  TestTensor lse_;
};

TEST_F(ReferenceAttention, ByHand) {
  // The second query scores ln 3 and 0: weights 3/4 and 1/4, lse ln 4. The first sees one key.
  const double ln3 = 1.0986122886681098;
  const TestTensor q = TensorOf(kF64, {2, 1, 2}, {5, 1, 2 * ln3, 0});
  const TestTensor keys = TensorOf(kF64, {2, 1, 2}, {1, 0, 0, 7});
  const TestTensor values = TensorOf(kF64, {2, 1, 3}, {4, 8, 0, 8, 0, 4});
  const TestTensor out = Attend(q, keys, values, 0.5);
  ExpectClose(out, TensorOf(kF64, {2, 1, 3}, {4, 8, 0, 5, 6, 1}), 1e-15, 1e-15);
  ExpectClose(lse_, TensorOf(kF64, {2, 1}, {2.5, 1.3862943611198906}), 1e-15, 1e-15);
}

TEST_F(ReferenceAttention, HeadsOfAGroupShareTheirKeys) {
  // 4 heads over 2: heads 0 and 1 read the first, 2 and 3 the second. One key: out is its value.
  const TestTensor q = RandomTensor(random_, kF64, {1, 4, 3});
  const TestTensor keys = RandomTensor(random_, kF64, {1, 2, 3});
  const TestTensor out = Attend(q, keys, TensorOf(kF64, {1, 2, 1}, {10, 20}));
  ExpectClose(out, TensorOf(kF64, {1, 4, 1}, {10, 10, 20, 20}), 1e-15, 1e-15);
}

TEST_F(ReferenceAttention, LargeScoresDoNotOverflow) {
  const TestTensor q = TensorOf(kF64, {2, 1, 1}, {-1e5, 1e5});
  const TestTensor keys = TensorOf(kF64, {2, 1, 1}, {1, 0.9});
  const TestTensor out = Attend(q, keys, TensorOf(kF64, {2, 1, 1}, {1, 2}));
  EXPECT_EQ(LoadAll(out), (Values{1, 1}));
  EXPECT_EQ(LoadAll(lse_), (Values{-1e5, 1e5}));
}

TEST_F(ReferenceAttention, RowsPastTheLastQueryAreNotRead) {
  const TestTensor q = RandomTensor(random_, kF64, {2, 2, 3});
  const TestTensor keys = RandomTensor(random_, kF64, {6, 1, 3}), values = Copy(keys);
  const TestTensor expected = Attend(q, keys.Rows(0, 4), values.Rows(0, 4), 1, 2);
  StoreAll(keys.Rows(4, 6), Values(6, kNaN));
  StoreAll(values.Rows(4, 6), Values(6, kNaN));
  ExpectSameBits(Attend(q, keys, values, 1, 2), expected);
}

TEST_F(ReferenceAttention, AContinuationEqualsTheWhole) {
  // 11 tokens at once, or the last queries alone at their positions, over blocks of any size.
  const TestTensor q = RandomTensor(random_, kF64, {11, 4, 5}, 1, 2);
  const TestTensor keys = RandomTensor(random_, kF64, {11, 2, 5}, 1, 3);
  const TestTensor values = RandomTensor(random_, kF64, {11, 2, 3}, 1, 1);
  const TestTensor whole = Attend(q, keys, values, 0.4), whole_lse = lse_;
  for (const std::vector<int64_t>& borders :
       {std::vector<int64_t>{0, 11}, {0, 1, 11}, {0, 4, 4, 8, 11}, {0, 10, 11}}) {
    std::vector<KeyBlock> blocks;
    for (size_t i = 0; i + 1 < borders.size(); ++i) {
      blocks.push_back(
          {keys.Rows(borders[i], borders[i + 1]), values.Rows(borders[i], borders[i + 1])});
    }
    for (const int64_t first : {0, 1, 7, 10}) {
      const AttentionSequence sequence{first, 11 - first, first, blocks};
      const TestTensor out(kF64, {11, 4, 3}, 2), lse(kF64, {11, 4});
      run_->Attention(context_, q, std::span(&sequence, 1), 0.4, out, lse);
      ExpectSameBits(out.Rows(first, 11), whole.Rows(first, 11));
      ExpectSameBits(lse.Rows(first, 11), whole_lse.Rows(first, 11));
    }
  }
}

TEST_F(ReferenceAttention, SequencesDoNotSeeEachOtherAndOtherRowsAreLeftAlone) {
  const TestTensor q = RandomTensor(random_, kF64, {8, 2, 3});
  const TestTensor keys0 = RandomTensor(random_, kF64, {3, 2, 3}),
                   keys1 = RandomTensor(random_, kF64, {4, 2, 3});
  const KeyBlock block0{keys0, keys0}, block1{keys1, keys1};
  // Rows 1 .. 3 start a sequence; row 6 is at position 3 of another; a third has no query now.
  const AttentionSequence sequences[] = {
      {1, 3, 0, std::span(&block0, 1)}, {6, 1, 3, std::span(&block1, 1)}, {7, 0, 0, {}}};
  const TestTensor out = RandomTensor(random_, kF64, {8, 2, 3}), before = Copy(out);
  run_->Attention(context_, q, sequences, 1, out, {});
  ExpectSameBits(out.Rows(1, 4), Attend(q.Rows(1, 4), keys0, keys0));
  ExpectSameBits(out.Rows(6, 7), Attend(q.Rows(6, 7), keys1, keys1, 1, 3));
  for (const int64_t row : {0, 4, 5, 7}) {
    ExpectSameBits(out.Rows(row, row + 1), before.Rows(row, row + 1));
  }
}

// Scores and mixtures in the latent space equal those of the expanded heads: with k_h = [A_h c, r]
// and v_h = B_h c, q . k_h = [A_h^T q_nope, q_rope] . [c, r] and sum p v_h = B_h sum p c.
TEST_F(ReferenceAttention, AbsorbedLatentFormEqualsTheExpandedForm) {
  constexpr int kTokens = 7, kHeads = 3, kLatent = 5, kRope = 2, kNope = 4, kV = 6;
  const TestTensor cache = RandomTensor(random_, kF64, {kTokens, 1, kLatent + kRope});
  const TestTensor q = RandomTensor(random_, kF64, {kTokens, kHeads, kNope + kRope});
  const TestTensor keys(kF64, {kTokens, kHeads, kNope + kRope}),
      values(kF64, {kTokens, kHeads, kV});
  const TestTensor absorbed_q(kF64, {kTokens, kHeads, kLatent + kRope});
  const Tensor c = cache.Select(1, 0).Columns(0, kLatent);
  std::vector<TestPacked> b;
  for (int h = 0; h < kHeads; ++h) {
    const TestTensor a = RandomTensor(random_, kF64, {kNope, kLatent});
    b.emplace_back(run_, RandomTensor(random_, kF64, {kV, kLatent}), kF64);
    const TestPacked up(run_, a, kF64), down(run_, a, kF64, true);
    const Tensor head_keys = keys.Select(1, h), head_q = absorbed_q.Select(1, h);
    run_->Matmul(context_, std::vector<MatmulProblem>{{c, up.get(), head_keys.Columns(0, kNope)},
                                                      {c, b.back().get(), values.Select(1, h)},
                                                      {q.Select(1, h).Columns(0, kNope), down.get(),
                                                       head_q.Columns(0, kLatent)}});
    run_->Cast(context_, cache.Select(1, 0).Columns(kLatent, kLatent + kRope),
               head_keys.Columns(kNope, kNope + kRope));
    run_->Cast(context_, q.Select(1, h).Columns(kNope, kNope + kRope),
               head_q.Columns(kLatent, kLatent + kRope));
  }
  const TestTensor expanded = Attend(q, keys, values, 0.3);
  const TestTensor latent = Attend(absorbed_q, cache, cache.Columns(0, kLatent), 0.3);
  const TestTensor out(kF64, {kTokens, kHeads, kV});
  for (int h = 0; h < kHeads; ++h) {
    run_->Matmul(context_,
                 std::vector<MatmulProblem>{
                     {latent.Select(1, h), b[static_cast<size_t>(h)].get(), out.Select(1, h)}});
  }
  ExpectClose(out, expanded, 1e-13, 1e-13);
}

}  // namespace
}  // namespace fathom::test
