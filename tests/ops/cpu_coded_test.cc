#include "ops/coded_weights.h"
#include "ops/cpu_test.h"
#include "tensor/quantize.h"

namespace fathom::test {
namespace {

FATHOM_FOR_CPU_TARGETS(CpuCoded);

struct Sizes {
  int64_t m, n, blocks;
};
// Around strips, panels and chunks of the depth, few rows and many, and several blocks of rows.
constexpr Sizes kSizes[] = {{1, 1, 1},   {1, 33, 7},   {2, 64, 16}, {3, 100, 3},
                            {4, 15, 9},  {5, 16, 8},   {6, 17, 5},  {7, 130, 2},
                            {13, 48, 8}, {25, 31, 11}, {64, 5, 4},  {200, 40, 3}};

// Rows of very different magnitudes, with a zero block.
TestTensor Activations(RandomStream& random, DType dtype, const Shape& shape) {
  TestTensor x = RandomTensor(random, dtype, shape, 1, 3, 1);
  std::vector<double> values = LoadAll(x);
  for (int64_t r = 0; r < shape[0]; ++r) {
    const double size = std::exp2(static_cast<double>(r * 7 % 40 - 20));
    for (int64_t j = 0; j < shape[1]; ++j) {
      double& value = values[static_cast<size_t>(r * shape[1] + j)];
      value *= size * (random.NextBelow(50) == 0 ? 30 : 1);
      if (r % 3 == 1 && j < 32) value = 0;
    }
  }
  StoreAll(x, values);
  return x;
}

TEST_P(CpuCoded, MatmulIsTheProductOfDecodedWeightsAndRoundedActivations) {
  auto reference = Reference(), cpu = Cpu(2);
  for (const DType dtype : kCodedTypes) {
    for (const auto& [m, n, blocks] : kSizes) {
      for (const bool extreme : {false, true}) {
        for (const DType a_type : kActTypes) {
          SCOPED_TRACE(testing::Message() << Name(dtype) << " " << m << " x " << n << ", " << blocks
                                          << " blocks, extreme " << extreme);
          const int64_t k = blocks * ActivationBlock(dtype);
          const CodedWeights b(random_, dtype, n, k, extreme);
          const TestPacked packed(*cpu, b.Part(), dtype),
              oracle_packed(*reference, b.Part(), dtype);
          const TestTensor a = Activations(random_, a_type, {m, k});
          const TestTensor c =
              RandomTensor(random_, m % 2 == 0 ? DType::kF32 : DType::kBF16, {m, n}, 1, 1, 5);
          const TestTensor expected = Copy(c);
          const bool accumulate = n % 2 == 0;
          const MatmulProblem problem{a, packed.get(), c, accumulate};
          const MatmulProblem oracle{a, oracle_packed.get(), expected, accumulate};
          (*cpu)->Matmul(cpu->context(), {&problem, 1});
          (*reference)->Matmul(reference->context(), {&oracle, 1});
          for (int64_t i = 0; i < m; ++i) ExpectNear(c.Rows(i, i + 1), expected.Rows(i, i + 1));
          c.ExpectSurroundingsUntouched();
        }
      }
    }
  }
}

// The tolerance that docs/architecture.md states.
TEST_P(CpuCoded, DiffersFromTheDecodedWeightsByTheRoundingOfActivations) {
  auto reference = Reference(), cpu = Cpu(2);
  for (const DType dtype : kCodedTypes) {
    const CodedWeights b(random_, dtype, 70, 1024);
    const TestTensor a = RandomTensor(random_, DType::kBF16, {20, 1024});
    const TestTensor decoded(DType::kF64, {70, 1024});
    b.Read(0, decoded);
    const TestPacked packed(*cpu, b.Part(), dtype), exact(*reference, decoded, DType::kF64);
    const TestTensor c(DType::kF32, {20, 70}), expected(DType::kF64, {20, 70});
    const MatmulProblem problem{a, packed.get(), c}, oracle{a, exact.get(), expected};
    (*cpu)->Matmul(cpu->context(), {&problem, 1});
    (*reference)->Matmul(reference->context(), {&oracle, 1});
    EXPECT_LT(RelativeError(c, expected), 0.02) << Name(dtype);
  }
}

TEST_P(CpuCoded, ARowHasTheSameBitsInAnyBatchOnAnyNumberOfThreads) {
  constexpr int64_t kRows = 230, kN = 83, kK = 1536;
  for (const DType dtype : kCodedTypes) {
    auto one = Cpu();
    const TestTensor a = RandomTensor(random_, DType::kBF16, {kRows, kK});
    const CodedWeights b(random_, dtype, kN, kK);
    const TestPacked packed(*one, b.Part(), dtype);
    const TestTensor whole(DType::kF32, {kRows, kN});
    const MatmulProblem problem{a, packed.get(), whole};
    (*one)->Matmul(one->context(), {&problem, 1});
    for (const int threads : {1, 2, 4}) {
      auto many = Cpu(threads);
      const TestTensor again(DType::kF32, {kRows, kN});
      std::vector<MatmulProblem> parts;
      for (int64_t begin = 0, rows = 1; begin < kRows; begin += rows, rows = rows % 17 + 1) {
        rows = std::min(rows, kRows - begin);
        parts.push_back(
            {a.Rows(begin, begin + rows), packed.get(), again.Rows(begin, begin + rows)});
      }
      (*many)->Matmul(many->context(), parts);
      ExpectSameBits(again, whole);
    }
  }
}

TEST_P(CpuCoded, EveryInstructionSetGivesTheSameBits) {
  if (GetParam() == CpuTarget::kAvx2) GTEST_SKIP() << "nothing to compare with";
  auto narrow = std::make_unique<TestRun>(CreateCpuBackend(CpuTarget::kAvx2)), wide = Cpu();
  for (const DType dtype : kCodedTypes) {
    for (const int64_t m : {1, 3, 5, 40}) {
      const TestTensor a = Activations(random_, DType::kBF16, {m, 1024});
      const CodedWeights b(random_, dtype, 61, 1024, m == 3);
      const TestPacked packed(*wide, b.Part(), dtype), other(*narrow, b.Part(), dtype);
      const TestTensor c(DType::kF32, {m, 61}), expected(DType::kF32, {m, 61});
      const MatmulProblem problem{a, packed.get(), c}, same{a, other.get(), expected};
      (*wide)->Matmul(wide->context(), {&problem, 1});
      (*narrow)->Matmul(narrow->context(), {&same, 1});
      ExpectSameBits(c, expected);
    }
  }
}

TEST_P(CpuCoded, PacksStacksOfPartsOfTensors) {
  auto cpu = Cpu(2);
  for (const DType dtype : kCodedTypes) {
    const int64_t k = 2 * ActivationBlock(dtype);
    const CodedWeights b(random_, dtype, 90, k);
    const TestTensor a = RandomTensor(random_, DType::kF32, {3, k});
    const std::vector<WeightPart> parts = {{b, 60, 90}, {b, 1, 2}, {b, 0, 50}};
    const TestPacked stack(*cpu, parts, dtype), whole(*cpu, b.Part(), dtype);
    const TestTensor c(DType::kF32, {3, 81}), all(DType::kF32, {3, 90});
    const MatmulProblem problems[] = {{a, stack.get(), c}, {a, whole.get(), all}};
    (*cpu)->Matmul(cpu->context(), problems);
    ExpectSameBits(c.Columns(0, 30), all.Columns(60, 90));
    ExpectSameBits(c.Columns(30, 31), all.Columns(1, 2));
    ExpectSameBits(c.Columns(31, 81), all.Columns(0, 50));
  }
}

TEST_P(CpuCoded, WhatIsNotFiniteStaysSo) {
  auto cpu = Cpu();
  for (const DType dtype : kCodedTypes) {
    for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
      const CodedWeights b(random_, dtype, 20, 512);
      const TestPacked packed(*cpu, b.Part(), dtype);
      const TestTensor a = RandomTensor(random_, DType::kF32, {9, 512});
      a.data<float>()[4 * 512 + 300] = bad;
      const TestTensor c(DType::kF32, {9, 20});
      const MatmulProblem problem{a, packed.get(), c};
      (*cpu)->Matmul(cpu->context(), {&problem, 1});
      for (int64_t i = 0; i < c.elements(); ++i) {
        EXPECT_EQ(std::isnan(c.data<float>()[i]), i / 20 == 4) << Name(dtype) << " " << i;
      }
    }
  }
}

}  // namespace
}  // namespace fathom::test
