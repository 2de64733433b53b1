// The reference's element-wise operations, row look-ups, norms and optimiser against values worked
// out by hand.

#include "backend/reference/reference_backend.h"
#include "ops/test_tensors.h"

namespace fathom::test {
namespace {

constexpr DType kF64 = DType::kF64;
constexpr DType kF32 = DType::kF32;
constexpr DType kBF16 = DType::kBF16;
constexpr DType kI32 = DType::kI32;

class Reference : public ::testing::Test {
 protected:
  RandomStream random_{7};
  TestRun run_{CreateReferenceBackend()};
  Context& context_ = run_.context();
};

using Values = std::vector<double>;

TEST_F(Reference, CopiesBetweenHostAndBackend) {
  const TestTensor x = RandomTensor(random_, kBF16, {3, 5}), there(kBF16, {3, 5}),
                   back(kBF16, {3, 5});
  run_->CopyFromHost(x, there);
  run_->CopyToHost(there, back);
  ExpectSameBits(back, x);
}

TEST_F(Reference, ZeroStaysInsideAStridedTensor) {
  for (const DType dtype : {kF64, kF32, kBF16, kI32}) {
    const TestTensor y(dtype, {3, 2, 5}, 2, 1);
    StoreAll(y, Values(30, 9));
    run_->Zero(context_, y);
    EXPECT_EQ(LoadAll(y), Values(30, 0));
    y.ExpectSurroundingsUntouched();
  }
}

TEST_F(Reference, CastRoundsToTheTypeOfTheResult) {
  const TestTensor x = TensorOf(kF64, {4}, {1, 1 + 0x1p-8, 1 + 0x1.8p-7, 1 + 0x1p-30});
  const TestTensor half(kBF16, {4}), single(kF32, {4});
  run_->Cast(context_, x, half);
  run_->Cast(context_, x, single);
  EXPECT_EQ(LoadAll(half), (Values{1, 1, 1 + 0x1p-6, 1}));
  EXPECT_EQ(LoadAll(single), (Values{1, 1 + 0x1p-8, 1 + 0x1.8p-7, 1}));
}

TEST_F(Reference, CastOfABroadcastKeyFillsEveryHead) {
  const TestTensor key = TensorOf(kF32, {2, 2}, {1, 2, 3, 4}), heads(kBF16, {2, 3, 2}, 1);
  run_->Cast(context_, key.Broadcast(1, 3), heads);
  EXPECT_EQ(LoadAll(heads), (Values{1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3, 4}));
  heads.ExpectSurroundingsUntouched();
}

TEST_F(Reference, AddRoundsOnce) {
  // The small addend is no bf16: rounded first, it would leave a tie that goes down to 1.
  const TestTensor y = TensorOf(kBF16, {2}, {1, -3});
  run_->Add(context_, TensorOf(kF32, {2}, {0x1p-8 + 0x1p-20, 1.5}), y);
  EXPECT_EQ(LoadAll(y), (Values{1 + 0x1p-7, -1.5}));
}

TEST_F(Reference, LerpMovesAShareOfTheWay) {
  const TestTensor y = TensorOf(kF32, {3}, {1, 0, -2});
  run_->Lerp(context_, TensorOf(kF32, {3}, {3, 0, 2}), 0.25, y);
  EXPECT_EQ(LoadAll(y), (Values{1.5, 0, -1}));
}

TEST_F(Reference, GatherTakesRowsInAnyOrderAndTwice) {
  const TestTensor x = TensorOf(kF32, {3, 2}, {0, 1, 10, 11, 20, 21}), y(kF32, {4, 2}, 1);
  run_->GatherRows(context_, x, TensorOf(kI32, {4}, {2, 0, 2, 1}), y);
  EXPECT_EQ(LoadAll(y), (Values{20, 21, 0, 1, 20, 21, 10, 11}));
  y.ExpectSurroundingsUntouched();
}

TEST_F(Reference, EmbeddingGradientOfARepeatedIdIsASum) {
  const TestTensor dtable = TensorOf(kF32, {3, 2}, {100, 200, 300, 400, 500, 600});
  run_->EmbeddingBackward(context_, TensorOf(kI32, {3}, {2, 0, 2}),
                          TensorOf(kF32, {3, 2}, {1, 2, 3, 4, 5, 6}), dtable);
  EXPECT_EQ(LoadAll(dtable), (Values{103, 204, 300, 400, 506, 608}));
}

TEST_F(Reference, RmsNormByHand) {
  // Row 1: mean square 1, + eps 3: r = 1/2. Row 2: (49 + 1) / 2 = 25, r = 1 / sqrt(28).
  const TestTensor x = TensorOf(kF64, {2, 2}, {1, -1, 7, 1}), gain = TensorOf(kF64, {2}, {2, 4});
  const TestTensor y(kF64, {2, 2}), inv_rms(kF64, {2});
  run_->RmsNorm(context_, x, gain, 3, y, inv_rms);
  const double r = 0.18898223650461362;
  ExpectClose(y, TensorOf(kF64, {2, 2}, {1, -2, 14 * r, 4 * r}), 1e-15, 1e-15);
  ExpectClose(inv_rms, TensorOf(kF64, {2}, {0.5, r}), 1e-15, 1e-15);

  const TestTensor again(kF64, {2, 2});
  run_->RmsNorm(context_, x, gain, 3, again, {});  // without inv_rms
  ExpectSameBits(again, y);
}

TEST_F(Reference, SwiGluByHand) {
  // sigmoid(ln 3) = 3/4, sigmoid(-ln 3) = 1/4.
  const double ln3 = 1.0986122886681098;
  const TestTensor gate_up = TensorOf(kF64, {1, 6}, {0, ln3, -ln3, 5, 2, 8}), y(kF64, {1, 3});
  run_->SwiGlu(context_, gate_up, y);
  ExpectClose(y, TensorOf(kF64, {1, 3}, {0, 1.5 * ln3, -2 * ln3}), 1e-15, 1e-15);
}

TEST_F(Reference, SwiGluOfLargeGatesIsFinite) {
  const TestTensor gate_up = TensorOf(kF64, {1, 4}, {2000, -2000, 3, 3}), y(kF64, {1, 2});
  const TestTensor dgate_up(kF64, {1, 4});
  run_->SwiGlu(context_, gate_up, y);
  EXPECT_EQ(LoadAll(y), (Values{6000, 0}));
  run_->SwiGluBackward(context_, TensorOf(kF64, {1, 2}, {1, 1}), gate_up, {}, dgate_up, {}, {});
  EXPECT_EQ(LoadAll(dgate_up), (Values{3, 0, 2000, 0}));
}

// ---- Optimiser

AdamWArgs ArgsOfExample() {
  AdamWArgs args;
  args.lr = 0.1;
  args.beta1 = 0.9;
  args.beta2 = 0.99;
  args.eps = 0;
  args.weight_decay = 0.1;
  args.grad_scale = 0.5;
  return args;
}

// Parameter 1; gradients 0.5, then -1 (given twice as large, scaled by 0.5).
// Step 1: m = 0.05, v = 0.0025, unbiased 0.5 and 0.25, so the step is lr: 1 (1 - 0.01) - 0.1.
// Step 2: m = 0.9 * 0.05 - 0.1 = -0.055, v = 0.99 * 0.0025 + 0.01 = 0.012475; unbiased by 0.19 and
// 0.0199: -0.2894737 and 0.6268844; 0.89 (1 - 0.01) + 0.1 * 0.2894737 / 0.7917603.
TEST_F(Reference, AdamWByHand) {
  const TestTensor param = TensorOf(kF64, {1}, {1}), m(kF64, {1}), v(kF64, {1});
  AdamWArgs args = ArgsOfExample();
  args.param = param;
  args.m = m;
  args.v = v;
  const TestTensor first = TensorOf(kF64, {1}, {1.0}), second = TensorOf(kF64, {1}, {-2.0});
  args.grad = first;
  args.bias1 = 0.1;
  args.bias2 = 0.01;
  run_->AdamW(context_, args);
  EXPECT_NEAR(Load(param, 0), 0.89, 1e-15);
  EXPECT_NEAR(Load(m, 0), 0.05, 1e-16);
  EXPECT_NEAR(Load(v, 0), 0.0025, 1e-16);
  args.grad = second;
  args.bias1 = 0.19;
  args.bias2 = 0.0199;
  run_->AdamW(context_, args);
  EXPECT_NEAR(Load(m, 0), -0.055, 1e-16);
  EXPECT_NEAR(Load(v, 0), 0.012475, 1e-16);
  EXPECT_NEAR(Load(param, 0), 0.8811 + 0.1 * 0.055 / 0.19 / std::sqrt(0.012475 / 0.0199), 1e-15);
}

TEST_F(Reference, AdamWRoundsBf16MomentsAfterItsStep) {
  const TestTensor param = TensorOf(kF64, {1}, {1}), m(kBF16, {1}), v(kBF16, {1});
  AdamWArgs args = ArgsOfExample();
  const TestTensor grad = TensorOf(kF64, {1}, {1.0});
  args.param = param;
  args.grad = grad;
  args.m = m;
  args.v = v;
  args.bias1 = 0.1;
  args.bias2 = 0.01;
  run_->AdamW(context_, args);
  EXPECT_NEAR(Load(param, 0), 0.89, 1e-15);  // from the moments before their rounding
  // 0.05 = 1.6 * 2^-5; 1.6 in steps of 2^-7 is 205 / 128. 0.0025 = 1.28 * 2^-9; 164 / 128.
  EXPECT_EQ(Load(m, 0), 205.0 / 128 / 32);
  EXPECT_EQ(Load(v, 0), 164.0 / 128 / 512);
}

TEST_F(Reference, AdamWDecaysWithoutAGradient) {
  const TestTensor param = TensorOf(kF64, {2}, {2, -4}), m(kF64, {2}), v(kF64, {2});
  const TestTensor grad(kF64, {2});
  AdamWArgs args = ArgsOfExample();
  args.eps = 1e-8;
  args.param = param;
  args.grad = grad;
  args.m = m;
  args.v = v;
  run_->AdamW(context_, args);
  EXPECT_DOUBLE_EQ(Load(param, 0), 1.98);
  EXPECT_DOUBLE_EQ(Load(param, 1), -3.96);
}

TEST_F(Reference, SumSquares) {
  EXPECT_EQ(run_->SumSquares(context_, TensorOf(kF32, {2, 2}, {3, -4, 0, 12})), 169);
  EXPECT_EQ(run_->SumSquares(context_, TestTensor(kF32, {0})), 0);
  // Squares that f32 cannot hold are no overflow.
  EXPECT_EQ(run_->SumSquares(context_, TensorOf(kF32, {1}, {0x1p100})), 0x1p200);
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_FALSE(std::isfinite(run_->SumSquares(context_, TensorOf(kF32, {2}, {1, -infinity}))));
  EXPECT_FALSE(std::isfinite(run_->SumSquares(context_, TensorOf(kF32, {2}, {1, std::nan("")}))));
}

}  // namespace
}  // namespace fathom::test
