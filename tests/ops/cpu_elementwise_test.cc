#include "ops/cpu_test.h"

namespace fathom::test {
namespace {

FATHOM_FOR_CPU_TARGETS(CpuElementwise);

// Columns around the sizes of vectors.
constexpr int64_t kColumns[] = {1, 7, 16, 33, 130, 257};

TEST_P(CpuElementwise, CastAndAddBetweenAllTypes) {
  auto reference = Reference(), cpu = Cpu();
  for (const int64_t d : kColumns) {
    for (const DType from : kActTypes) {
      for (const DType to : kActTypes) {
        const TestTensor x = RandomTensor(random_, from, {3, 5, d}, 1, 3, 1);
        const TestTensor y(to, {3, 5, d}, 1, 3), expected(to, {3, 5, d});
        (*cpu)->Cast(cpu->context(), x, y);
        (*reference)->Cast(reference->context(), x, expected);
        ExpectSameBits(y, expected);
        y.ExpectSurroundingsUntouched();
        (*cpu)->Add(cpu->context(), x, y);
        (*reference)->Add(reference->context(), x, expected);
        ExpectSameBits(y, expected);
        (*cpu)->Zero(cpu->context(), y);
        (*reference)->Zero(reference->context(), expected);
        ExpectSameBits(y, expected);
        y.ExpectSurroundingsUntouched();
      }
    }
  }
}

TEST_P(CpuElementwise, CastRoundsAsTheScalarTypeDoes) {
  auto cpu = Cpu();
  // Ties, overflow to infinity, infinities and NaN.
  const std::vector<float> values = {1.0f,
                                     1.00390625f,
                                     1.01171875f,
                                     -1.00390625f,
                                     3.3961775e38f,
                                     std::numeric_limits<float>::infinity(),
                                     -std::numeric_limits<float>::infinity(),
                                     std::numeric_limits<float>::quiet_NaN(),
                                     -0.0f,
                                     1e-30f};
  const auto n = static_cast<int64_t>(values.size());
  const Tensor x(const_cast<float*>(values.data()), DType::kF32, {n});
  const TestTensor y(DType::kBF16, {n});
  (*cpu)->Cast(cpu->context(), x, y);
  for (int64_t i = 0; i < n; ++i) {
    EXPECT_EQ(y.data<BF16>()[i].bits, BF16(values[static_cast<size_t>(i)]).bits) << i;
  }
}

TEST_P(CpuElementwise, Lerp) {
  auto reference = Reference(), cpu = Cpu(2);
  const TestTensor x = RandomTensor(random_, DType::kF32, {40001});
  const TestTensor y = RandomTensor(random_, DType::kF32, {40001});
  const TestTensor expected = Copy(y);
  (*cpu)->Lerp(cpu->context(), x, 0.001, y);
  (*reference)->Lerp(reference->context(), x, 0.001, expected);
  ExpectClose(y, expected, 1e-7, 1e-6);
}

TEST_P(CpuElementwise, GatherAndItsGradient) {
  auto reference = Reference();
  for (const int threads : {1, 3}) {
    auto cpu = Cpu(threads);
    for (const DType table_type : kActTypes) {
      for (const DType type : kActTypes) {
        const TestTensor table = RandomTensor(random_, table_type, {11, 200}, 1, 2);
        const TestTensor ids = RandomIds(random_, {700}, 11);
        const TestTensor y(type, {700, 200}, 1), expected(type, {700, 200});
        (*cpu)->GatherRows(cpu->context(), table, ids, y);
        (*reference)->GatherRows(reference->context(), table, ids, expected);
        ExpectSameBits(y, expected);
        const TestTensor dtable = RandomTensor(random_, DType::kF32, {11, 200}, 1, 1);
        const TestTensor sum = Copy(dtable);
        (*cpu)->EmbeddingBackward(cpu->context(), ids, y, dtable);
        (*reference)->EmbeddingBackward(reference->context(), ids, y, sum);
        ExpectClose(dtable, sum, 1e-6, 1e-5);
        dtable.ExpectSurroundingsUntouched();
      }
    }
  }
}

TEST_P(CpuElementwise, RmsNormAndItsGradients) {
  auto reference = Reference(), cpu = Cpu(2);
  for (const int64_t d : kColumns) {
    for (const DType type : kActTypes) {
      for (const DType gain_type : kActTypes) {
        SCOPED_TRACE(testing::Message() << d << " " << Name(type) << " " << Name(gain_type));
        constexpr int64_t kRows = 150;
        const TestTensor x = RandomTensor(random_, type, {kRows, d}, 3, 3, 1);
        const TestTensor gain = RandomTensor(random_, gain_type, {d});
        const TestTensor y(type, {kRows, d}, 1, 1), expected(type, {kRows, d});
        const TestTensor r(DType::kF32, {kRows}), expected_r(DType::kF32, {kRows});
        (*cpu)->RmsNorm(cpu->context(), x, gain, 1e-6, y, r);
        (*reference)->RmsNorm(reference->context(), x, gain, 1e-6, expected, expected_r);
        ExpectNear(y, expected);
        ExpectNear(r, expected_r);
        y.ExpectSurroundingsUntouched();
        const TestTensor without(type, {kRows, d});
        (*cpu)->RmsNorm(cpu->context(), x, gain, 1e-6, without, {});
        ExpectSameBits(without, y);

        const TestTensor dy = RandomTensor(random_, type, {kRows, d}, 1, 1);
        for (const bool accumulate : {false, true}) {
          const TestTensor dx = RandomTensor(random_, type, {kRows, d}, 1, 2, 1);
          const TestTensor expected_dx = Copy(dx);
          (*cpu)->RmsNormBackwardInput(cpu->context(), dy, x, gain, expected_r, accumulate, dx);
          (*reference)
              ->RmsNormBackwardInput(reference->context(), dy, x, gain, expected_r, accumulate,
                                     expected_dx);
          // With one column the gradient is a difference of equals.
          if (d > 1) ExpectNear(dx, expected_dx);
          dx.ExpectSurroundingsUntouched();
        }
        const TestTensor dgain = RandomTensor(random_, DType::kF32, {d});
        const TestTensor expected_dgain = Copy(dgain);
        (*cpu)->RmsNormBackwardWeight(cpu->context(), dy, x, expected_r, dgain);
        (*reference)
            ->RmsNormBackwardWeight(reference->context(), dy, x, expected_r, expected_dgain);
        ExpectNear(dgain, expected_dgain);
        dgain.ExpectSurroundingsUntouched();
      }
    }
  }
}

TEST_P(CpuElementwise, SumsABiasGradientAsTheReferenceDoes) {
  auto reference = Reference(), cpu = Cpu(3);
  for (const int64_t rows : {1, 63, 64, 65, 300}) {
    for (const int64_t n : {1, 7, 16, 33, 200}) {
      for (const DType type : kActTypes) {
        // A column range of a wider gradient.
        const TestTensor wide = RandomTensor(random_, type, {rows, n + 9});
        const ConstTensor dy = ConstTensor(wide).Columns(5, 5 + n);
        const TestTensor db = RandomTensor(random_, DType::kF32, {n}), expected = Copy(db);
        (*cpu)->BiasBackward(cpu->context(), dy, db);
        (*reference)->BiasBackward(reference->context(), dy, expected);
        ExpectNear(db, expected);
        db.ExpectSurroundingsUntouched();
      }
    }
  }
}

TEST_P(CpuElementwise, RopeTurnsAndTurnsBack) {
  auto reference = Reference(), cpu = Cpu();
  for (const int64_t d : {2, 16, 22, 64, 300}) {
    std::vector<double> frequency;
    for (int64_t j = 0; j < d / 2; ++j) {
      frequency.push_back(
          std::pow(10000.0, -2.0 * static_cast<double>(j) / static_cast<double>(d)));
    }
    const TestTensor positions = RandomIds(random_, {19}, 100000);
    const TestTensor table(DType::kF32, {19, d}), expected_table(DType::kF32, {19, d});
    (*cpu)->RopeTable(cpu->context(), positions, frequency, 1.25, table);
    (*reference)->RopeTable(reference->context(), positions, frequency, 1.25, expected_table);
    ExpectNear(table, expected_table);
    for (const DType type : kActTypes) {
      for (const auto& [layout, inverse] : {std::pair{RopeLayout::kInterleaved, false},
                                            {RopeLayout::kInterleaved, true},
                                            {RopeLayout::kHalves, false},
                                            {RopeLayout::kHalves, true}}) {
        // A column range of a wider projection.
        const TestTensor wide = RandomTensor(random_, type, {19, 3 * (d + 4)});
        const Tensor x = Tensor(wide).SplitLast(3, d + 4).Columns(3, 3 + d);
        const TestTensor y(type, {19, 3, d}, 1), expected(type, {19, 3, d});
        (*cpu)->Rope(cpu->context(), x, expected_table, layout, inverse, y);
        (*reference)->Rope(reference->context(), x, expected_table, layout, inverse, expected);
        ExpectNear(y, expected);
        y.ExpectSurroundingsUntouched();
        (*cpu)->Rope(cpu->context(), x, expected_table, layout, inverse, x);
        ExpectSameBits(x, y);
      }
    }
  }
}

TEST_P(CpuElementwise, SwiGluAndItsGradient) {
  auto reference = Reference(), cpu = Cpu(2);
  for (const int64_t d : kColumns) {
    for (const DType type : kActTypes) {
      constexpr int64_t kRows = 70;
      const TestTensor gate_up = RandomTensor(random_, type, {kRows, 2 * d}, 4, 3, 1);
      const TestTensor y(type, {kRows, d}, 1), expected(type, {kRows, d});
      (*cpu)->SwiGlu(cpu->context(), gate_up, y);
      (*reference)->SwiGlu(reference->context(), gate_up, expected);
      ExpectNear(y, expected);
      y.ExpectSurroundingsUntouched();

      const TestTensor dy = RandomTensor(random_, type, {kRows, d});
      const TestTensor weight = RandomTensor(random_, DType::kF32, {kRows});
      for (const bool with : {false, true}) {
        const TestTensor dgate(type, {kRows, 2 * d}, 1), expected_dgate(type, {kRows, 2 * d});
        const TestTensor again(type, {kRows, d}), expected_again(type, {kRows, d});
        const TestTensor dweight(DType::kF32, {kRows}), expected_dweight(DType::kF32, {kRows});
        const ConstTensor w = with ? ConstTensor(weight) : ConstTensor();
        (*cpu)->SwiGluBackward(cpu->context(), dy, gate_up, w, dgate,
                               with ? Tensor(again) : Tensor(), with ? Tensor(dweight) : Tensor());
        (*reference)
            ->SwiGluBackward(reference->context(), dy, gate_up, w, expected_dgate,
                             with ? Tensor(expected_again) : Tensor(),
                             with ? Tensor(expected_dweight) : Tensor());
        ExpectNear(dgate, expected_dgate);
        if (with) {
          ExpectNear(again, expected_again);
          ExpectNear(dweight, expected_dweight);
        }
        dgate.ExpectSurroundingsUntouched();
      }
    }
  }
}

TEST_P(CpuElementwise, LogProbAndItsGradient) {
  auto reference = Reference(), cpu = Cpu(2);
  for (const int64_t vocabulary : {int64_t{5}, int64_t{100}, int64_t{4096}, int64_t{9001}}) {
    for (const double temperature : {1.0, 0.7}) {
      constexpr int64_t kRows = 9;
      const TestTensor logits = RandomTensor(random_, DType::kF32, {kRows, vocabulary}, 4, 3, 1);
      const TestTensor targets = RandomIds(random_, {kRows}, vocabulary);
      targets.data<int32_t>()[4] = -1;
      const TestTensor logprob(DType::kF32, {kRows}), expected(DType::kF32, {kRows});
      const TestTensor lse(DType::kF32, {kRows}), expected_lse(DType::kF32, {kRows});
      (*cpu)->LogProb(cpu->context(), logits, temperature, targets, logprob, lse);
      (*reference)
          ->LogProb(reference->context(), logits, temperature, targets, expected, expected_lse);
      ExpectNear(lse, expected_lse);
      ExpectNear(logprob, expected);
      EXPECT_EQ(logprob.data<float>()[4], 0.0f);
      const TestTensor only(DType::kF32, {kRows});
      (*cpu)->LogProb(cpu->context(), logits, temperature, {}, {}, only);
      ExpectSameBits(only, lse);
      // Alone or among others: the same bits.
      for (int64_t r = 0; r < kRows; ++r) {
        const TestTensor alone(DType::kF32, {1});
        (*cpu)->LogProb(cpu->context(), logits.Rows(r, r + 1), temperature, {}, {}, alone);
        EXPECT_EQ(alone.data<float>()[0], lse.data<float>()[r]);
      }
      const TestTensor upstream = RandomTensor(random_, DType::kF32, {kRows});
      for (const DType type : kActTypes) {
        const TestTensor dx(type, {kRows, vocabulary}, 1), expected_dx(type, {kRows, vocabulary});
        (*cpu)->LogProbBackward(cpu->context(), upstream, logits, temperature, targets,
                                expected_lse, dx);
        (*reference)
            ->LogProbBackward(reference->context(), upstream, logits, temperature, targets,
                              expected_lse, expected_dx);
        ExpectNear(dx, expected_dx);
        dx.ExpectSurroundingsUntouched();
      }
    }
  }
}

TEST_P(CpuElementwise, KlDivergenceAndItsGradient) {
  auto reference = Reference(), cpu = Cpu(2);
  for (const int64_t vocabulary : {int64_t{5}, int64_t{100}, int64_t{4096}, int64_t{9001}}) {
    for (const double temperature : {1.0, 2.5}) {
      constexpr int64_t kRows = 9;
      const TestTensor logits = RandomTensor(random_, DType::kF32, {kRows, vocabulary}, 4, 3, 1);
      const TestTensor teacher = RandomTensor(random_, DType::kF32, {kRows, vocabulary}, 4, 3, 1);
      const TestTensor lse(DType::kF32, {kRows}), teacher_lse(DType::kF32, {kRows});
      (*cpu)->LogProb(cpu->context(), logits, temperature, {}, {}, lse);
      (*cpu)->LogProb(cpu->context(), teacher, temperature, {}, {}, teacher_lse);
      const TestTensor weight = RandomTensor(random_, DType::kF32, {kRows});
      weight.data<float>()[4] = 0;
      const TestTensor kl(DType::kF32, {kRows}), expected(DType::kF32, {kRows});
      for (const DType type : kActTypes) {
        const TestTensor dx = RandomTensor(random_, type, {kRows, vocabulary}, 0.1, 1);
        const TestTensor expected_dx = Copy(dx);
        (*cpu)->KlDivergence(cpu->context(), weight, logits, lse, teacher, teacher_lse, temperature,
                             kl, dx);
        (*reference)
            ->KlDivergence(reference->context(), weight, logits, lse, teacher, teacher_lse,
                           temperature, expected, expected_dx);
        ExpectClose(kl, expected, 1e-5, 1e-5);
        ExpectNear(dx, expected_dx);
        dx.ExpectSurroundingsUntouched();
      }
      EXPECT_EQ(kl.data<float>()[4], 0.0f);
      // Alone or among others: the same bits.
      for (int64_t r = 0; r < kRows; ++r) {
        const TestTensor alone(DType::kF32, {1});
        (*cpu)->KlDivergence(cpu->context(), weight.Rows(r, r + 1), logits.Rows(r, r + 1),
                             lse.Rows(r, r + 1), teacher.Rows(r, r + 1), teacher_lse.Rows(r, r + 1),
                             temperature, alone, {});
        EXPECT_EQ(alone.data<float>()[0], kl.data<float>()[r]);
      }
    }
  }
}

TEST_P(CpuElementwise, LogProbOfExtremeLogits) {
  auto cpu = Cpu();
  const TestTensor logits = TensorOf(DType::kF32, {1, 4}, {1000, 1000, -1000, -1e30});
  const TestTensor targets = TensorOf(DType::kI32, {1}, {1});
  const TestTensor logprob(DType::kF32, {1}), lse(DType::kF32, {1});
  (*cpu)->LogProb(cpu->context(), logits, 1, targets, logprob, lse);
  EXPECT_NEAR(logprob.data<float>()[0], -std::log(2.0), 1e-6);  // 1000 - (1000 + ln 2)
}

TEST_P(CpuElementwise, AdamW) {
  auto reference = Reference(), cpu = Cpu(3);
  for (const DType moments : kActTypes) {
    constexpr int64_t kCount = 70003;
    AdamWArgs args;
    const TestTensor param = RandomTensor(random_, DType::kF32, {kCount});
    const TestTensor grad = RandomTensor(random_, DType::kF32, {kCount});
    const TestTensor m = RandomTensor(random_, moments, {kCount}, 0.1);
    const TestTensor v(moments, {kCount});
    (*cpu)->Add(cpu->context(), m, v);
    std::vector<double> squares = LoadAll(v);
    for (double& square : squares) square *= square;
    StoreAll(v, squares);
    args = {param, grad, m, v, 3e-4, 0.9, 0.95, 1e-8, 0.1, 0.2, 0.1, 0.5};
    AdamWArgs oracle = args;
    const TestTensor expected = Copy(param), expected_m = Copy(m), expected_v = Copy(v);
    oracle.param = expected;
    oracle.m = expected_m;
    oracle.v = expected_v;
    (*cpu)->AdamW(cpu->context(), args);
    (*reference)->AdamW(reference->context(), oracle);
    ExpectClose(param, expected, 2e-7, 1e-6);
    ExpectNear(m, expected_m);
    ExpectNear(v, expected_v);
  }
}

TEST_P(CpuElementwise, SumOfSquares) {
  auto reference = Reference(), cpu = Cpu();
  for (const int64_t n : {int64_t{0}, int64_t{1}, int64_t{4097}, int64_t{100001}}) {
    const TestTensor x = RandomTensor(random_, DType::kF32, {n});
    const double sum = (*cpu)->SumSquares(cpu->context(), x);
    EXPECT_NEAR(sum, (*reference)->SumSquares(reference->context(), x), 1e-12 * sum);
    auto many = Cpu(4);
    EXPECT_EQ((*many)->SumSquares(many->context(), x), sum);
    if (n == 0) continue;
    x.data<float>()[n / 2] = std::numeric_limits<float>::infinity();
    EXPECT_FALSE(std::isfinite((*cpu)->SumSquares(cpu->context(), x)));
    x.data<float>()[n / 2] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_FALSE(std::isfinite((*cpu)->SumSquares(cpu->context(), x)));
  }
}

// Rows are computed alone, and columns where a sum runs over rows.
TEST_P(CpuElementwise, TheNumberOfThreadsDoesNotShow) {
  constexpr int64_t kRows = 700, kD = 150;
  const TestTensor x = RandomTensor(random_, DType::kBF16, {kRows, kD});
  const TestTensor dy = RandomTensor(random_, DType::kBF16, {kRows, kD});
  const TestTensor gain = RandomTensor(random_, DType::kF32, {kD});
  const TestTensor ids = RandomIds(random_, {kRows}, 20);
  std::vector<TestTensor> first;
  for (const int threads : {1, 2, 3, 4}) {
    auto cpu = Cpu(threads);
    std::vector<TestTensor> results = {
        TestTensor(DType::kBF16, {kRows, kD}), TestTensor(DType::kF32, {kRows}),
        TestTensor(DType::kBF16, {kRows, kD}), TestTensor(DType::kF32, {kD}),
        TestTensor(DType::kF32, {20, kD})};
    (*cpu)->RmsNorm(cpu->context(), x, gain, 1e-6, results[0], results[1]);
    (*cpu)->RmsNormBackwardInput(cpu->context(), dy, x, gain, results[1], false, results[2]);
    (*cpu)->RmsNormBackwardWeight(cpu->context(), dy, x, results[1], results[3]);
    (*cpu)->EmbeddingBackward(cpu->context(), ids, dy, results[4]);
    if (threads == 1) first = results;
    for (size_t i = 0; i < results.size(); ++i) ExpectSameBits(results[i], first[i]);
  }
}

}  // namespace
}  // namespace fathom::test
