#include "ops/cpu_test.h"

namespace fathom::test {
namespace {

FATHOM_FOR_CPU_TARGETS(CpuMatmul);

struct Sizes {
  int64_t m, n, k;
};
// Around the sizes of strips, panels, vectors and blocks, and odd ones.
constexpr Sizes kSizes[] = {{1, 1, 1},    {1, 33, 7},    {2, 64, 16},   {3, 100, 31},
                            {5, 15, 64},  {7, 16, 65},   {12, 32, 128}, {13, 48, 33},
                            {25, 17, 96}, {64, 130, 63}, {200, 70, 50}, {33, 257, 300}};

TEST_P(CpuMatmul, IsTheProductForAnySizeTypeAndStride) {
  auto reference = Reference(), cpu = Cpu();
  for (const auto& [m, n, k] : kSizes) {
    for (const DType a_type : kActTypes) {
      for (const DType b_type : kActTypes) {
        for (const DType c_type : kActTypes) {
          SCOPED_TRACE(testing::Message() << m << " x " << n << " x " << k << " " << Name(a_type)
                                          << " " << Name(b_type) << " " << Name(c_type));
          const TestTensor a = RandomTensor(random_, a_type, {m, k}, 1, 3, 1);
          const TestTensor b = RandomTensor(random_, b_type, {n, k}, 1, 5, 3);
          const bool accumulate = (m + n + k) % 2 == 0;
          const TestTensor c = RandomTensor(random_, c_type, {m, n}, 1, 1, 5);
          const TestTensor expected = CopyAs(c_type, c);
          const TestPacked packed(*cpu, b, b_type), reference_packed(*reference, b, b_type);
          const MatmulProblem problem{a, packed.get(), c, accumulate};
          (*cpu)->Matmul(cpu->context(), {&problem, 1});
          const MatmulProblem oracle{a, reference_packed.get(), expected, accumulate};
          (*reference)->Matmul(reference->context(), {&oracle, 1});
          ExpectNear(c, expected);
          c.ExpectSurroundingsUntouched();
        }
      }
    }
  }
}

TEST_P(CpuMatmul, PacksStacksAndTransposesOfAnyType) {
  auto reference = Reference(), cpu = Cpu();
  for (const DType type : kActTypes) {
    for (const bool transposed : {false, true}) {
      // Stacked along the rows: 20 + 1 + 34 of them.
      std::vector<TestTensor> parts = {RandomTensor(random_, DType::kF64, {20, 45}, 1, 2),
                                       RandomTensor(random_, DType::kBF16, {1, 45}),
                                       RandomTensor(random_, DType::kF32, {34, 45}, 1, 1, 1)};
      for (const size_t count : {size_t{3}, size_t{1}}) {
        const std::vector<ConstTensor> views(parts.begin(),
                                             parts.begin() + static_cast<int64_t>(count));
        const TestPacked packed(*cpu, views, type, transposed);
        const TestPacked reference_packed(*reference, views, type, transposed);
        const int64_t n = packed.get()->n, k = packed.get()->k;
        const TestTensor a = RandomTensor(random_, type, {9, k});
        const TestTensor c(DType::kF32, {9, n}), expected(DType::kF32, {9, n});
        const MatmulProblem problem{a, packed.get(), c},
            oracle{a, reference_packed.get(), expected};
        (*cpu)->Matmul(cpu->context(), {&problem, 1});
        (*reference)->Matmul(reference->context(), {&oracle, 1});
        ExpectNear(c, expected);
      }
    }
  }
}

// The contract: a row's bits are a function of the row alone.
TEST_P(CpuMatmul, ARowHasTheSameBitsInAnyBatchOnAnyNumberOfThreads) {
  constexpr int64_t kRows = 1024, kN = 203, kK = 391;
  for (const DType type : kActTypes) {
    auto one = Cpu();
    const TestTensor a = RandomTensor(random_, type, {kRows, kK});
    const TestTensor b = RandomTensor(random_, type, {kN, kK});
    const TestPacked packed(*one, b, type);
    const TestTensor whole(type, {kRows, kN});
    const MatmulProblem problem{a, packed.get(), whole};
    (*one)->Matmul(one->context(), {&problem, 1});

    for (const int threads : {2, 3, 4}) {
      auto many = Cpu(threads);
      const TestTensor again(type, {kRows, kN});
      const MatmulProblem same{a, packed.get(), again};
      (*many)->Matmul(many->context(), {&same, 1});
      ExpectSameBits(again, whole);
    }
    const TestTensor alone(type, {kRows, kN});
    std::vector<MatmulProblem> problems;
    int64_t begin = 0;
    for (int64_t rows = 1; begin < kRows; begin += rows, rows = rows % 40 + 1) {
      rows = std::min(rows, kRows - begin);
      const MatmulProblem part{a.Rows(begin, begin + rows), packed.get(),
                               alone.Rows(begin, begin + rows)};
      if (rows % 2) {
        (*one)->Matmul(one->context(), {&part, 1});
      } else {
        problems.push_back(part);
      }
    }
    auto two = Cpu(2);
    (*two)->Matmul(two->context(), problems);
    ExpectSameBits(alone, whole);
  }
}

TEST_P(CpuMatmul, ManyProblemsAreIndependent) {
  auto reference = Reference();
  const std::vector<int64_t> rows = {0, 1, 130, 0, 7, 64, 0};
  for (const int threads : {1, 3}) {
    auto cpu = Cpu(threads);
    std::vector<TestTensor> a, b, c, expected;
    std::vector<TestPacked> packed, reference_packed;
    std::vector<MatmulProblem> problems, oracles;
    for (const int64_t m : rows) {
      a.push_back(RandomTensor(random_, DType::kBF16, {m, 96}));
      b.push_back(RandomTensor(random_, DType::kBF16, {160, 96}));
      c.emplace_back(DType::kBF16, Shape{m, 160});
      expected.emplace_back(DType::kBF16, Shape{m, 160});
      packed.emplace_back(*cpu, b.back(), DType::kBF16);
      reference_packed.emplace_back(*reference, b.back(), DType::kBF16);
    }
    for (size_t i = 0; i < rows.size(); ++i) {
      problems.push_back({a[i], packed[i].get(), c[i]});
      oracles.push_back({a[i], reference_packed[i].get(), expected[i]});
    }
    (*cpu)->Matmul(cpu->context(), problems);
    (*reference)->Matmul(reference->context(), oracles);
    for (size_t i = 0; i < rows.size(); ++i) ExpectNear(c[i], expected[i]);
  }
}

TEST_P(CpuMatmul, AnErrorInOneRowStaysThere) {
  auto cpu = Cpu();
  const TestTensor a = RandomTensor(random_, DType::kBF16, {13, 40});
  const TestTensor b = RandomTensor(random_, DType::kBF16, {33, 40});
  reinterpret_cast<BF16*>(a.data<BF16>())[5 * 40 + 39] = BF16(std::nanf(""));
  const TestPacked packed(*cpu, b, DType::kBF16);
  const TestTensor c(DType::kF32, {13, 33});
  const MatmulProblem problem{a, packed.get(), c};
  (*cpu)->Matmul(cpu->context(), {&problem, 1});
  for (int64_t i = 0; i < 13; ++i) {
    for (int64_t j = 0; j < 33; ++j) EXPECT_EQ(std::isnan(Load(c, i, j)), i == 5);
  }
}

TEST_P(CpuMatmul, WeightGradientIsTheSumOverTokens) {
  auto reference = Reference();
  for (const DType type : kActTypes) {
    auto cpu = Cpu(2);
    std::vector<TestTensor> dy, x, dw, expected;
    std::vector<WeightGradientProblem> problems, oracles;
    for (const auto& [tokens, n, k] :
         {Sizes{0, 20, 30}, {1, 3, 5}, {37, 65, 33}, {513, 17, 100}, {2600, 50, 40}}) {
      dy.push_back(RandomTensor(random_, type, {tokens, n}, 1, 3, 1));
      x.push_back(RandomTensor(random_, type, {tokens, k}, 1, 1, 3));
      dw.push_back(RandomTensor(random_, DType::kF32, {n, k}, 1, 2));
      expected.push_back(Copy(dw.back()));
    }
    for (size_t i = 0; i < dy.size(); ++i) {
      problems.push_back({dy[i], x[i], dw[i]});
      oracles.push_back({dy[i], x[i], expected[i]});
    }
    (*cpu)->MatmulBackwardWeight(cpu->context(), problems);
    (*reference)->MatmulBackwardWeight(reference->context(), oracles);
    for (size_t i = 0; i < dy.size(); ++i) {
      SCOPED_TRACE(i);
      ExpectNear(dw[i], expected[i]);
      dw[i].ExpectSurroundingsUntouched();
    }
  }
}

// 512-token blocks from the first row: blocks that are given one after the other give the same
// bits, on any number of threads.
TEST_P(CpuMatmul, WeightGradientRunsOverFixedBlocks) {
  constexpr int64_t kTokens = 512 * 5 + 77, kN = 90, kK = 67;
  for (const DType type : kActTypes) {
    const TestTensor dy = RandomTensor(random_, type, {kTokens, kN});
    const TestTensor x = RandomTensor(random_, type, {kTokens, kK});
    auto one = Cpu();
    const TestTensor whole(DType::kF32, {kN, kK}), pieces(DType::kF32, {kN, kK});
    const WeightGradientProblem problem{dy, x, whole};
    (*one)->MatmulBackwardWeight(one->context(), {&problem, 1});
    for (int64_t begin = 0; begin < kTokens; begin += 512) {
      const int64_t end = std::min(kTokens, begin + 512);
      const WeightGradientProblem piece{dy.Rows(begin, end), x.Rows(begin, end), pieces};
      (*one)->MatmulBackwardWeight(one->context(), {&piece, 1});
    }
    ExpectSameBits(pieces, whole);
    for (const int threads : {2, 3, 4}) {
      auto many = Cpu(threads);
      const TestTensor again(DType::kF32, {kN, kK});
      const WeightGradientProblem same{dy, x, again};
      (*many)->MatmulBackwardWeight(many->context(), {&same, 1});
      ExpectSameBits(again, whole);
    }
  }
}

// Problems of one X in a row are computed together, by as many threads as there are: the bits are
// those of each alone.
TEST_P(CpuMatmul, WeightGradientsOfOneXAreThoseOfEachAlone) {
  constexpr int64_t kK = 67;
  for (const int64_t tokens : {40, 1300}) {
    for (const bool fp8 : {false, true}) {
      SCOPED_TRACE(testing::Message() << tokens << " tokens, fp8: " << fp8);
      const TestTensor x = RandomTensor(random_, DType::kBF16, {tokens, kK}, 1, 3, 1);
      const TestTensor other = RandomTensor(random_, DType::kBF16, {tokens, kK});
      std::vector<TestTensor> dy, alone;
      std::vector<ConstTensor> xs;
      auto one = Cpu();
      for (const int64_t n : {20, 65, 300, 1, 130}) {
        xs.push_back(n == 300 ? other : x);
        dy.push_back(RandomTensor(random_, DType::kBF16, {tokens, n}, 1, 1, 2));
        alone.emplace_back(DType::kF32, Shape({n, kK}));
        const WeightGradientProblem problem{dy.back(), xs.back(), alone.back(), fp8};
        (*one)->MatmulBackwardWeight(one->context(), {&problem, 1});
      }
      for (const int threads : {1, 2, 3, 5}) {
        auto many = Cpu(threads);
        std::vector<TestTensor> together;
        std::vector<WeightGradientProblem> problems;
        for (size_t i = 0; i < dy.size(); ++i) together.emplace_back(DType::kF32, alone[i].shape());
        for (size_t i = 0; i < dy.size(); ++i) problems.push_back({dy[i], xs[i], together[i], fp8});
        (*many)->MatmulBackwardWeight(many->context(), problems);
        for (size_t i = 0; i < dy.size(); ++i) ExpectSameBits(together[i], alone[i]);
      }
    }
  }
}

// As an expert takes those of its tokens: the bits are those of a copy, in every type.
TEST_P(CpuMatmul, RowsByIndexAreThoseOfACopy) {
  constexpr int64_t kRows = 50, kTaken = 700, kN = 70, kK = 256;
  TestTensor index(DType::kI32, {kTaken});
  for (int64_t i = 0; i < kTaken; ++i) {
    index.data<int32_t>()[i] = static_cast<int32_t>(i * i % kRows);
  }
  const TestTensor b = RandomTensor(random_, DType::kF32, {kN, kK});
  for (const DType type : {DType::kF32, DType::kBF16, DType::kE4M3, DType::kE4M3Tensor}) {
    SCOPED_TRACE(Name(type));
    const auto cpu = Cpu(3), reference = Reference();
    const DType act = type == DType::kF32 ? type : DType::kBF16;
    const TestTensor values = RandomTensor(random_, act, {kRows, kK}, 1, 3, 0);
    const TestTensor dy = RandomTensor(random_, act, {kRows, kN}, 1, 2, 1);
    TestTensor x = values;
    if (IsQuantized(type)) {
      x = TestTensor(type, {kRows, kK});
      (*cpu)->Cast(cpu->context(), values, x);
    }
    const TestTensor x_copy(type, {kTaken, kK}), dy_copy(act, {kTaken, kN});
    (*cpu)->GatherRows(cpu->context(), x, index, x_copy);
    (*cpu)->GatherRows(cpu->context(), dy, index, dy_copy);

    for (TestRun* run : {cpu.get(), reference.get()}) {
      const TestPacked packed(*run, b, type);
      const TestTensor c(DType::kF32, {kTaken, kN}), c_of_copy(DType::kF32, {kTaken, kN});
      const MatmulProblem products[] = {{{x, index}, packed.get(), c},
                                        {x_copy, packed.get(), c_of_copy}};
      (*run)->Matmul(run->context(), products);
      ExpectSameBits(c, c_of_copy);

      const TestTensor dw(DType::kF32, {kN, kK}), dw_of_copy(DType::kF32, {kN, kK});
      const bool fp8 = IsQuantized(type), per_tensor = type == DType::kE4M3Tensor;
      const MatrixRows rows(x, index), dy_rows(dy, index);
      const WeightGradientProblem gradients[] = {
          {dy_rows.Rows(3, kTaken), rows.Rows(3, kTaken), dw, fp8, per_tensor},
          {dy_copy.Rows(3, kTaken), x_copy.Rows(3, kTaken), dw_of_copy, fp8, per_tensor}};
      (*run)->MatmulBackwardWeight(run->context(), gradients);
      ExpectSameBits(dw, dw_of_copy);
    }
  }
}

}  // namespace
}  // namespace fathom::test
