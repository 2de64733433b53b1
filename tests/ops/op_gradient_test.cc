// Every backward of every operation against central differences of its forward, in double, on the
// reference backend.

#include <gtest/gtest-spi.h>

#include "backend/reference/reference_backend.h"
#include "ops/gradient_check.h"

namespace fathom::test {
namespace {

constexpr DType kF64 = DType::kF64;

class OpGradient : public ::testing::Test {
 protected:
  // A tensor with strided rows, so that strides are exercised throughout.
  TestTensor Random(const Shape& shape, double deviation = 1) {
    return RandomTensor(random_, kF64, shape, deviation, /*padding=*/3);
  }

  RandomStream random_{2024};
  TestRun run_{CreateReferenceBackend()};
  Context& context_ = run_.context();
};

// The check itself: d sum(b x^3) / dx = 3 b x^2, and an element that is off by a millionth is seen.
TEST_F(OpGradient, TheNumericGradientIsRight) {
  const TestTensor x = TensorOf(kF64, {3}, {1, -2, 0.5}), y(kF64, {3});
  const TestTensor b = TensorOf(kF64, {3}, {1, 2, -8});
  const auto cube = [&] {
    for (int i = 0; i < 3; ++i) Store(y, i, Load(x, i) * Load(x, i) * Load(x, i));
  };
  const TestTensor expected = TensorOf(kF64, {3}, {3, 24, -6});
  ExpectGradient(expected, x, {y, b}, cube);
  Store(expected, 2, -6 * (1 + 1e-6));
  EXPECT_NONFATAL_FAILURE(ExpectClose(expected, TensorOf(kF64, {3}, {3, 24, -6}), 1, 1e-8),
                          "element 2");
  EXPECT_EQ(LoadAll(x), (std::vector<double>{1, -2, 0.5}));
}

TEST_F(OpGradient, RmsNorm) {
  for (const auto& [rows, d] : {std::pair{1, 1}, {3, 7}, {5, 16}, {67, 3}}) {
    SCOPED_TRACE(fmt::format("{} x {}", rows, d));
    const TestTensor x = Random({rows, d}), gain = RandomTensor(random_, kF64, {d});
    const TestTensor y = Random({rows, d}), dy = Random({rows, d}), inv_rms(kF64, {rows});
    const auto forward = [&] { run_->RmsNorm(context_, x, gain, 0.1, y, inv_rms); };
    forward();

    const TestTensor dx = Random({rows, d});  // assigned: what was there does not count
    run_->RmsNormBackwardInput(context_, dy, x, gain, inv_rms, false, dx);
    ExpectGradient(dx, x, {y, dy}, forward);

    // Accumulated: the gradient of y plus that of another use of x, here x itself.
    const TestTensor sum = Random({rows, d}), identity = Copy(sum);
    run_->RmsNormBackwardInput(context_, dy, x, gain, inv_rms, true, sum);
    ExpectGradient(sum, x, std::vector<Probe>{{y, dy}, {x, identity}}, forward);

    const TestTensor dgain = RandomTensor(random_, kF64, {d}), before = Copy(dgain);
    run_->RmsNormBackwardWeight(context_, dy, x, inv_rms, dgain);
    ExpectGradient(dgain, gain, std::vector<Probe>{{y, dy}, {gain, before}}, forward);
  }
}

TEST_F(OpGradient, MatmulOfStackedParts) {
  for (const auto& [m, n0, n1, k] : {std::array{1, 1, 1, 1}, {3, 2, 5, 7}, {6, 8, 1, 4}}) {
    SCOPED_TRACE(fmt::format("{} x ({} + {}) x {}", m, n0, n1, k));
    const TestTensor x = Random({m, k}), w0 = Random({n0, k}), w1 = Random({n1, k});
    const TestTensor y = Random({m, n0 + n1}), dy = Random({m, n0 + n1});
    const std::vector<ConstTensor> parts{w0, w1};
    const auto forward = [&] {
      const TestPacked w(run_, parts, kF64);
      run_->Matmul(context_, std::vector<MatmulProblem>{{x, w.get(), y, false}});
    };
    forward();

    // dX = dY W: a product with the transpose.
    const TestPacked transposed(run_, parts, kF64, true);
    const TestTensor dx = Random({m, k});
    run_->Matmul(context_, std::vector<MatmulProblem>{{dy, transposed.get(), dx, false}});
    ExpectGradient(dx, x, {y, dy}, forward);

    const TestTensor accumulated = Random({m, k}), identity = Copy(accumulated);
    run_->Matmul(context_, std::vector<MatmulProblem>{{dy, transposed.get(), accumulated, true}});
    ExpectGradient(accumulated, x, std::vector<Probe>{{y, dy}, {x, identity}}, forward);

    // dW of each part from its columns of dY.
    const TestTensor dw0 = Random({n0, k}), dw1 = Random({n1, k});
    const TestTensor before0 = Copy(dw0), before1 = Copy(dw1);
    run_->MatmulBackwardWeight(
        context_, std::vector<WeightGradientProblem>{{dy.Columns(0, n0), x, dw0},
                                                     {dy.Columns(n0, n0 + n1), x, dw1}});
    ExpectGradient(dw0, w0, std::vector<Probe>{{y, dy}, {w0, before0}}, forward);
    ExpectGradient(dw1, w1, std::vector<Probe>{{y, dy}, {w1, before1}}, forward);
  }
}

TEST_F(OpGradient, Rope) {
  const TestTensor positions = TensorOf(DType::kI32, {4}, {0, 1, 7, 4000});
  const TestTensor table(kF64, {4, 6});
  run_->RopeTable(context_, positions, std::vector<double>{1, 0.1, 0.003}, 1.3, table);
  for (const RopeLayout layout : {RopeLayout::kInterleaved, RopeLayout::kHalves}) {
    const TestTensor x = Random({4, 3, 6}), y = Random({4, 3, 6}), dy = Random({4, 3, 6});
    const TestTensor dx = Random({4, 3, 6});
    run_->Rope(context_, dy, table, layout, true, dx);
    ExpectGradient(dx, x, {y, dy}, [&] { run_->Rope(context_, x, table, layout, false, y); });
  }
}

// y = x W^T + b: the bias lies in y before a product that accumulates.
TEST_F(OpGradient, Bias) {
  for (const auto& [rows, n] : {std::pair{1, 1}, {5, 3}, {70, 4}}) {
    const TestTensor bias = RandomTensor(random_, kF64, {n}), db = RandomTensor(random_, kF64, {n});
    const TestTensor before = Copy(db), y = Random({rows, n}), dy = Random({rows, n});
    run_->BiasBackward(context_, dy, db);
    const auto forward = [&] { run_->Cast(context_, ConstTensor(bias).Broadcast(0, rows), y); };
    ExpectGradient(db, bias, std::vector<Probe>{{y, dy}, {bias, before}}, forward);
  }
}

struct AttentionCase {
  int heads, kv_heads, d_qk, d_v;
  bool latent;  // values are the first d_v columns of the keys
};

class AttentionGradient : public OpGradient, public ::testing::WithParamInterface<AttentionCase> {};

TEST_P(AttentionGradient, MatchesCentralDifferences) {
  const AttentionCase c = GetParam();
  // Rows 0 and 6 belong to no sequence.
  constexpr int kTokens = 10;
  const TestTensor q = Random({kTokens, c.heads, c.d_qk});
  const TestTensor keys = Random({kTokens, c.kv_heads, c.d_qk});
  const TestTensor own_values = Random({kTokens, c.kv_heads, c.d_v});
  const Tensor values = c.latent ? keys.Columns(0, c.d_v) : Tensor(own_values);
  const KeyBlock blocks[] = {{keys.Rows(1, 6), values.Rows(1, 6)},
                             {keys.Rows(7, 8), values.Rows(7, 8)},
                             {keys.Rows(8, 10), values.Rows(8, 10)}};
  const AttentionSequence sequences[] = {{1, 5, 0, std::span(&blocks[0], 1)},
                                         {7, 1, 0, std::span(&blocks[1], 1)},
                                         {8, 2, 0, std::span(&blocks[2], 1)}};
  const double scale = 0.6;
  const TestTensor out = Random({kTokens, c.heads, c.d_v}), lse(kF64, {kTokens, c.heads});
  const TestTensor dout = Random({kTokens, c.heads, c.d_v});
  const auto forward = [&] { run_->Attention(context_, q, sequences, scale, out, lse); };
  forward();

  const TestTensor dq = Random({kTokens, c.heads, c.d_qk}), dq_before = Copy(dq);
  const TestTensor dk = Random({kTokens, c.kv_heads, c.d_qk}), dk_before = Copy(dk);
  const TestTensor dv = Random({kTokens, c.kv_heads, c.d_v}), dv_before = Copy(dv);
  run_->AttentionBackward(context_, dout, q, sequences, scale, out, lse, dq, dk, dv);
  for (const int64_t row : {0, 6}) {
    ExpectSameBits(dq.Rows(row, row + 1), dq_before.Rows(row, row + 1));
    ExpectSameBits(dk.Rows(row, row + 1), dk_before.Rows(row, row + 1));
    ExpectSameBits(dv.Rows(row, row + 1), dv_before.Rows(row, row + 1));
    run_->Zero(context_, dq.Rows(row, row + 1));
    run_->Zero(context_, dk.Rows(row, row + 1));
    run_->Zero(context_, dv.Rows(row, row + 1));
  }
  ExpectGradient(dq, q, {out, dout}, forward);
  if (c.latent) {
    // One tensor is both: its gradient is the sum.
    run_->Add(context_, dv, dk.Columns(0, c.d_v));
    ExpectGradient(dk, keys, {out, dout}, forward);
  } else {
    ExpectGradient(dk, keys, {out, dout}, forward);
    ExpectGradient(dv, own_values, {out, dout}, forward);
  }
}

INSTANTIATE_TEST_SUITE_P(Heads, AttentionGradient,
                         ::testing::Values(AttentionCase{1, 1, 3, 3, false},   // one head
                                           AttentionCase{3, 3, 5, 2, false},   // multi-head
                                           AttentionCase{4, 2, 3, 4, false},   // grouped
                                           AttentionCase{3, 1, 4, 4, false},   // multi-query
                                           AttentionCase{3, 1, 7, 5, true}));  // latent, absorbed

TEST_F(OpGradient, SwiGlu) {
  for (const auto& [rows, d] : {std::pair{1, 1}, {4, 5}, {2, 17}}) {
    const TestTensor gate_up = Random({rows, 2 * d}, 2),
                     weight = RandomTensor(random_, kF64, {rows});
    const TestTensor y = Random({rows, d}), dy = Random({rows, d}),
                     dgate_up = Random({rows, 2 * d});
    const auto plain = [&] { run_->SwiGlu(context_, gate_up, y); };
    run_->SwiGluBackward(context_, dy, gate_up, {}, dgate_up, {}, {});
    ExpectGradient(dgate_up, gate_up, {y, dy}, plain);

    // y = w silu(gate) up, as the down projection of an expert sees it.
    const auto weighted = [&] {
      run_->SwiGlu(context_, gate_up, y);
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t j = 0; j < d; ++j) Store(y, r, j, Load(y, r, j) * Load(weight, r));
      }
    };
    const TestTensor y_again = Random({rows, d}), dweight(kF64, {rows});
    run_->SwiGluBackward(context_, dy, gate_up, weight, dgate_up, y_again, dweight);
    ExpectGradient(dgate_up, gate_up, {y, dy}, weighted);
    ExpectGradient(dweight, weight, {y, dy}, weighted);
    ExpectClose(y_again, y, 1e-15, 1e-15);
  }
}

// A router over 8 experts; the steps of the difference quotient are too small to change a choice,
// which the test checks.
class RouteGradient : public OpGradient, public ::testing::WithParamInterface<RouterOptions> {
 protected:
  static constexpr int kTokens = 9, kExperts = 8;

  void Forward() { run_->Route(context_, logits_, bias_, GetParam(), scores_, ids_, weights_); }

  const int64_t top_k_ = GetParam().top_k;
  TestTensor logits_ = Random({kTokens, kExperts});
  TestTensor bias_ = RandomTensor(random_, kF64, {kExperts}, 0.2);
  TestTensor scores_ = Random({kTokens, kExperts});
  TestTensor ids_{DType::kI32, {kTokens, top_k_}};
  TestTensor weights_ = Random({kTokens, top_k_});
  TestTensor dweights_ = Random({kTokens, top_k_});
  TestTensor dlogits_ = Random({kTokens, kExperts});
};

TEST_P(RouteGradient, OfTheWeights) {
  Forward();
  run_->RouteBackward(context_, dweights_, scores_, ids_, GetParam(), {}, {}, dlogits_);
  const TestTensor ids = Copy(ids_);
  ExpectGradient(
      dlogits_, logits_, {weights_, dweights_},
      [&] {
        Forward();
        ExpectSameBits(ids_, ids);
      },
      1e-4);
}

TEST_P(RouteGradient, WithTheBalanceLoss) {
  const TestTensor sequence_of = TensorOf(DType::kI32, {kTokens}, {0, 0, 0, 0, 1, 2, 2, 2, 2});
  const TestTensor balance_f(kF64, {3, kExperts}), loss(kF64, {3});
  const auto forward = [&] {
    Forward();
    run_->BalanceLoss(context_, scores_, ids_, sequence_of, 0.7, balance_f, loss);
  };
  forward();
  run_->RouteBackward(context_, dweights_, scores_, ids_, GetParam(), balance_f, sequence_of,
                      dlogits_);
  const TestTensor ids = Copy(ids_), ones = TensorOf(kF64, {3}, {1, 1, 1});
  ExpectGradient(
      dlogits_, logits_, std::vector<Probe>{{weights_, dweights_}, {loss, ones}},
      [&] {
        forward();
        ExpectSameBits(ids_, ids);
      },
      1e-4);
}

INSTANTIATE_TEST_SUITE_P(
    Options, RouteGradient,
    ::testing::Values(RouterOptions{1, 1, 1, false, 1}, RouterOptions{3, 1, 1, true, 2.5},
                      RouterOptions{3, 1, 1, false, 2.5}, RouterOptions{2, 4, 2, true, 1},
                      RouterOptions{4, 2, 1, false, 1}, RouterOptions{8, 1, 1, true, 1},
                      RouterOptions{1, 1, 1, false, 16, RouterScoring::kSoftmax},
                      RouterOptions{3, 1, 1, false, 2.5, RouterScoring::kSoftmax},
                      RouterOptions{3, 1, 1, true, 2.5, RouterScoring::kSoftmax},
                      RouterOptions{3, 4, 2, false, 4, RouterScoring::kSoftmax,
                                    GroupScore::kMaximum}));

// The weight of an only choice is 1 whatever its score.
TEST_F(OpGradient, ANormalizedWeightOfOneExpertHasNoGradient) {
  const TestTensor logits = Random({4, 5}), scores = Random({4, 5}), dlogits = Random({4, 5});
  const TestTensor ids(DType::kI32, {4, 1}), weights(kF64, {4, 1}), dweights = Random({4, 1});
  const RouterOptions options{1, 1, 1, true, 3};
  run_->Route(context_, logits, TestTensor(kF64, {5}), options, scores, ids, weights);
  run_->RouteBackward(context_, dweights, scores, ids, options, {}, {}, dlogits);
  for (const double weight : LoadAll(weights)) EXPECT_DOUBLE_EQ(weight, 3);
  for (const double gradient : LoadAll(dlogits)) EXPECT_NEAR(gradient, 0, 1e-15);
}

// The whole way through the experts: rows gathered to experts, one matrix per expert, combined with
// weights. The backward of the dispatch is a combination without weights, that of the combination a
// dispatch.
TEST_F(OpGradient, DispatchAndCombine) {
  constexpr int kTokens = 6, kTopK = 2, kExperts = 4, kWidth = 5;
  const TestTensor x = Random({kTokens, kWidth}), weights = Random({kTokens, kTopK});
  const TestTensor shared = Random({kTokens, kWidth});
  // Expert 1 has no token.
  const TestTensor ids = TensorOf(DType::kI32, {kTokens, kTopK},
                                  {0, 3, 2, 3, 0, 2,  //
                                   0, 3, 2, 3, 0, 2});
  ExpertRows rows;
  const TestTensor token_of_row(DType::kI32, {kTokens * kTopK});
  const TestTensor row_of_slot(DType::kI32, {kTokens, kTopK});
  rows.token_of_row = token_of_row;
  rows.row_of_slot = row_of_slot;
  run_->SortByExpert(context_, ids, kExperts, &rows);
  std::vector<TestTensor> expert_weights;
  std::vector<TestPacked> packed, transposed;
  for (int e = 0; e < kExperts; ++e) {
    expert_weights.push_back(Random({kWidth, kWidth}));
    packed.emplace_back(run_, expert_weights.back(), kF64);
    transposed.emplace_back(run_, expert_weights.back(), kF64, true);
  }
  const auto experts = [&](const std::vector<TestPacked>& matrices, const Tensor& from,
                           const Tensor& to) {
    std::vector<MatmulProblem> problems;
    for (size_t e = 0; e < kExperts; ++e) {
      const int64_t begin = rows.offsets[e], end = rows.offsets[e + 1];
      problems.push_back({from.Rows(begin, end), matrices[e].get(), to.Rows(begin, end), false});
    }
    run_->Matmul(context_, problems);
  };

  const Shape row_shape{kTokens * kTopK, kWidth};
  const TestTensor gathered = Random(row_shape), y = Random(row_shape);
  const TestTensor out = Random({kTokens, kWidth}), dout = Random({kTokens, kWidth});
  const auto forward = [&] {
    run_->GatherRows(context_, x, rows.token_of_row, gathered);
    experts(packed, gathered, y);
    run_->Zero(context_, out);
    run_->CombineExperts(context_, y, rows, weights, shared, out);
  };
  forward();

  const TestTensor dout_rows = Random(row_shape), row_weights(kF64, {kTokens * kTopK});
  run_->GatherRows(context_, dout, rows.token_of_row, dout_rows);
  run_->PermuteSlots(context_, rows, false, weights, row_weights);
  const TestTensor drow_weights(kF64, {kTokens * kTopK}), dy = Random(row_shape);
  for (int64_t r = 0; r < row_shape[0]; ++r) {
    double dweight = 0;
    for (int64_t j = 0; j < kWidth; ++j) {
      dweight += Load(dout_rows, r, j) * Load(y, r, j);
      Store(dy, r, j, Load(row_weights, r) * Load(dout_rows, r, j));
    }
    Store(drow_weights, r, dweight);
  }
  const TestTensor dweights = Random({kTokens, kTopK});
  run_->PermuteSlots(context_, rows, true, drow_weights, dweights);
  ExpectGradient(dweights, weights, {out, dout}, forward);

  const TestTensor dgathered = Random(row_shape), dx(kF64, {kTokens, kWidth});
  experts(transposed, dy, dgathered);
  run_->CombineExperts(context_, dgathered, rows, {}, {}, dx);
  ExpectGradient(dx, x, {out, dout}, forward);
}

TEST_F(OpGradient, LogProb) {
  for (const double temperature : {1.0, 0.7, 3.0}) {
    const TestTensor logits = Random({4, 7}, 2), logprob(kF64, {4}), lse(kF64, {4});
    const TestTensor targets = TensorOf(DType::kI32, {4}, {6, -1, 0, 3});
    const TestTensor dlogprob = RandomTensor(random_, kF64, {4}), dlogits = Random({4, 7});
    const auto forward = [&] {
      run_->LogProb(context_, logits, temperature, targets, logprob, lse);
    };
    forward();
    run_->LogProbBackward(context_, dlogprob, logits, temperature, targets, lse, dlogits);
    ExpectGradient(dlogits, logits, {logprob, dlogprob}, forward);
  }
}

TEST_F(OpGradient, KlDivergence) {
  for (const double temperature : {1.0, 0.7, 3.0}) {
    const TestTensor logits = Random({4, 7}, 2), teacher = Random({4, 7}, 2);
    const TestTensor lse(kF64, {4}), teacher_lse(kF64, {4}), kl(kF64, {4});
    const TestTensor weight = TensorOf(kF64, {4}, {0.3, 0, 2, 1});
    const TestTensor dlogits = Random({4, 7}), before = Copy(dlogits);
    const auto forward = [&] {
      run_->LogProb(context_, logits, temperature, {}, {}, lse);
      run_->LogProb(context_, teacher, temperature, {}, {}, teacher_lse);
      run_->KlDivergence(context_, weight, logits, lse, teacher, teacher_lse, temperature, kl, {});
    };
    forward();
    for (const double value : LoadAll(kl)) EXPECT_GE(value, 0);
    EXPECT_EQ(LoadAll(kl)[1], 0);
    run_->KlDivergence(context_, weight, logits, lse, teacher, teacher_lse, temperature, kl,
                       dlogits);
    ExpectGradient(dlogits, logits, std::vector<Probe>{{kl, weight}, {logits, before}}, forward);
    // From itself, nothing is far.
    run_->KlDivergence(context_, weight, logits, lse, logits, lse, temperature, kl, {});
    for (const double value : LoadAll(kl)) EXPECT_NEAR(value, 0, 1e-15);
  }
}

TEST_F(OpGradient, EmbeddingWithRepeatedIds) {
  const TestTensor table = Random({5, 3}), dtable = Random({5, 3}), before = Copy(dtable);
  const TestTensor ids = TensorOf(DType::kI32, {6}, {4, 0, 4, 2, 4, 0});
  const TestTensor y = Random({6, 3}), dy = Random({6, 3});
  run_->EmbeddingBackward(context_, ids, dy, dtable);
  ExpectGradient(dtable, table, std::vector<Probe>{{y, dy}, {table, before}},
                 [&] { run_->GatherRows(context_, table, ids, y); });
}

}  // namespace
}  // namespace fathom::test
