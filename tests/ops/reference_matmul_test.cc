// Matrix products of the reference: layout of packed matrices, roundings, and many problems at
// once.

#include "backend/reference/reference_backend.h"
#include "ops/test_tensors.h"

namespace fathom::test {
namespace {

constexpr DType kF64 = DType::kF64;
constexpr DType kF32 = DType::kF32;
constexpr DType kBF16 = DType::kBF16;

using Values = std::vector<double>;

class ReferenceMatmul : public ::testing::Test {
 protected:
  void Multiply(const MatmulProblem& problem) { run_->Matmul(context_, std::span(&problem, 1)); }

  RandomStream random_{8};
  TestRun run_{CreateReferenceBackend()};
  Context& context_ = run_.context();
};

TEST_F(ReferenceMatmul, ByHand) {
  const TestTensor a = TensorOf(kF32, {2, 3}, {1, 2, 3, 4, 5, 6});
  const TestPacked b(run_, TensorOf(kF32, {2, 3}, {1, 0, -1, 2, 2, 2}), kF32);
  const TestTensor c = TensorOf(kF32, {2, 2}, {100, 200, 300, 400});
  Multiply({a, b.get(), c, true});
  EXPECT_EQ(LoadAll(c), (Values{98, 212, 298, 430}));
  Multiply({a, b.get(), c, false});
  EXPECT_EQ(LoadAll(c), (Values{-2, 12, -2, 30}));
}

TEST_F(ReferenceMatmul, PackStacksAndTransposes) {
  const TestTensor whole = TensorOf(kF32, {2, 4}, {1, 2, 3, 4, 5, 6, 7, 8});
  const std::vector<ConstTensor> parts{whole.Columns(0, 2), whole.Columns(2, 4)};  // strided
  // [[1, 2], [5, 6], [3, 4], [7, 8]], and its transpose.
  const TestTensor rows = TensorOf(kF32, {2, 2}, {1, 0, 0, 1}), stacked(kF32, {2, 4});
  Multiply({rows, TestPacked(run_, parts, kF32).get(), stacked, false});
  EXPECT_EQ(LoadAll(stacked), (Values{1, 5, 3, 7, 2, 6, 4, 8}));

  const TestPacked transposed(run_, parts, kF32, true);
  EXPECT_EQ(transposed.get()->n, 2);
  EXPECT_EQ(transposed.get()->k, 4);
  const TestTensor a = TensorOf(kF32, {1, 4}, {1, 10, 100, 1000}), c(kF32, {1, 2});
  Multiply({a, transposed.get(), c, false});
  EXPECT_EQ(LoadAll(c), (Values{7351, 8462}));
}

TEST_F(ReferenceMatmul, PackRoundsToItsType) {
  const TestPacked b(run_, TensorOf(kF32, {1, 1}, {1 + 0x1p-9}), kBF16);
  const TestTensor c(kF32, {1, 1});
  Multiply({TensorOf(kF32, {1, 1}, {1}), b.get(), c, false});
  EXPECT_EQ(Load(c, 0, 0), 1);
}

TEST_F(ReferenceMatmul, AIsRoundedToTheTypeOfB) {
  const TestTensor a = TensorOf(kF32, {1, 1}, {1 + 0x1p-9}), c(kF32, {1, 1});
  const TestTensor b = TensorOf(kF32, {1, 1}, {256});
  Multiply({a, TestPacked(run_, b, kBF16).get(), c, false});
  EXPECT_EQ(Load(c, 0, 0), 256);
  Multiply({a, TestPacked(run_, b, kF32).get(), c, false});
  EXPECT_EQ(Load(c, 0, 0), 256.5);
}

TEST_F(ReferenceMatmul, TheSumIsRoundedOnceAfterCIsAdded) {
  // 2^-8 + 2^-20 is no bf16; rounded first it would leave a tie that goes down to 1.
  const TestTensor a = TensorOf(kF32, {1, 2}, {0x1p-8, 0x1p-20}), c = TensorOf(kBF16, {1, 1}, {1});
  const TestPacked b(run_, TensorOf(kF32, {1, 2}, {1, 1}), kF32);
  Multiply({a, b.get(), c, true});
  EXPECT_EQ(Load(c, 0, 0), 1 + 0x1p-7);
}

TEST_F(ReferenceMatmul, ManyProblemsOnViewsOfOneTensor) {
  // One matrix a head: q [tokens, heads, 3] times a [2, 3] of the head.
  const TestTensor q = RandomTensor(random_, kF64, {4, 2, 3}, 1, 1), out(kF64, {4, 2, 2}, 3);
  const TestTensor w0 = RandomTensor(random_, kF64, {2, 3}),
                   w1 = RandomTensor(random_, kF64, {2, 3});
  const TestPacked b0(run_, w0, kF64), b1(run_, w1, kF64);
  run_->Matmul(context_, std::vector<MatmulProblem>{{q.Select(1, 0), b0.get(), out.Select(1, 0)},
                                                    {q.Select(1, 1), b1.get(), out.Select(1, 1)}});
  for (int t = 0; t < 4; ++t) {
    for (int h = 0; h < 2; ++h) {
      const TestTensor& w = h == 0 ? w0 : w1;
      for (int j = 0; j < 2; ++j) {
        EXPECT_NEAR(Load(out, t, h, j),
                    Load(q, t, h, 0) * Load(w, j, 0) + Load(q, t, h, 1) * Load(w, j, 1) +
                        Load(q, t, h, 2) * Load(w, j, 2),
                    1e-14);
      }
    }
  }
  out.ExpectSurroundingsUntouched();
}

TEST_F(ReferenceMatmul, AnExpertWithoutRowsIsNoWork) {
  const TestTensor a(kF64, {3, 2}), c = RandomTensor(random_, kF64, {3, 2}), before = Copy(c);
  const TestPacked b(run_, RandomTensor(random_, kF64, {2, 2}), kF64);
  Multiply({a.Rows(1, 1), b.get(), c.Rows(1, 1), false});
  ExpectSameBits(c, before);

  const TestTensor dw = RandomTensor(random_, kF64, {2, 2}), dw_before = Copy(dw);
  const WeightGradientProblem gradient{a.Rows(1, 1), c.Rows(1, 1), dw};
  run_->MatmulBackwardWeight(context_, std::span(&gradient, 1));
  ExpectSameBits(dw, dw_before);
}

TEST_F(ReferenceMatmul, WeightGradientByHand) {
  const TestTensor dy = TensorOf(kF32, {2, 2}, {1, 2, 3, 4}), x = TensorOf(kF32, {2, 1}, {10, 100});
  const TestTensor dw = TensorOf(kF32, {2, 1}, {1, 1});
  const WeightGradientProblem gradient{dy, x, dw};
  run_->MatmulBackwardWeight(context_, std::span(&gradient, 1));
  EXPECT_EQ(LoadAll(dw), (Values{311, 421}));
}

}  // namespace
}  // namespace fathom::test
