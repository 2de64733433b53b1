#include "ops/cpu_test.h"
#include "tensor/quantize.h"

namespace fathom::test {
namespace {

FATHOM_FOR_CPU_TARGETS(CpuFp8);

constexpr DType kE4M3Types[] = {DType::kE4M3, DType::kE4M3Ue8m0, DType::kE4M3Tensor};
constexpr DType kQuantizedTypes[] = {DType::kE4M3, DType::kE4M3Ue8m0, DType::kE4M3Tensor,
                                     DType::kE5M6};

// Rows of very different magnitudes, a zero one, with outliers.
TestTensor RowsOfAllSizes(RandomStream& random, DType dtype, const Shape& shape) {
  const TestTensor x = RandomTensor(random, dtype, shape, 1, 3, 1);
  std::vector<double> values = LoadAll(x);
  for (int64_t r = 0; r < shape[0]; ++r) {
    const double size = r == 1 ? 0 : std::exp2(static_cast<double>(r * 7 % 60 - 30));
    for (int64_t j = 0; j < shape[1]; ++j) {
      double& value = values[static_cast<size_t>(r * shape[1] + j)];
      value *= size * (random.NextBelow(50) == 0 ? 100 : 1) * (random.NextBelow(9) == 0 ? 1e-4 : 1);
    }
  }
  StoreAll(x, values);
  return x;
}

std::vector<uint8_t> Bytes(const ConstTensor& x) {
  const auto* begin = static_cast<const uint8_t*>(x.raw());
  return {begin, begin + x.bytes()};
}

// The reference calls the functions that define the numbers.
TEST_P(CpuFp8, CastGivesTheBytesOfTheDefinition) {
  auto reference = Reference(), cpu = Cpu(2);
  for (const DType dtype : kQuantizedTypes) {
    for (const DType from : kActTypes) {
      for (const int64_t d : {1, 2, 15, 16, 31, 127, 128, 129, 200, 257, 640}) {
        SCOPED_TRACE(testing::Message() << Name(from) << " to " << Name(dtype) << ", " << d);
        const TestTensor x = RowsOfAllSizes(random_, from, {13, d});
        const TestTensor y(dtype, {13, d}), expected(dtype, {13, d});
        std::memset(y.raw(), 0, static_cast<size_t>(y.bytes()));
        std::memset(expected.raw(), 0, static_cast<size_t>(y.bytes()));
        (*cpu)->Cast(cpu->context(), x, y);
        (*reference)->Cast(reference->context(), x, expected);
        EXPECT_EQ(Bytes(y), Bytes(expected));
        y.ExpectSurroundingsUntouched();
        for (const DType to : kActTypes) {
          const TestTensor back(to, {13, d}, 2, 1), expected_back(to, {13, d});
          (*cpu)->Cast(cpu->context(), y, back);
          (*reference)->Cast(reference->context(), y, expected_back);
          ExpectSameBits(back, expected_back);
          back.ExpectSurroundingsUntouched();
        }
      }
    }
  }
}

// What stands beside 448 under one scale is a multiple of E4M3's smallest number, 2^-9; tiles of
// their own hold it as it is.
TEST_P(CpuFp8, OneScaleForATensorLosesWhatIsSmallBesideItsLargest) {
  auto cpu = Cpu(2);
  const TestTensor x(DType::kF32, {2, 256}), y(DType::kF32, {2, 256});
  std::vector<double> values(512, 0x1.8p-10);
  values[3] = -448;
  StoreAll(x, values);
  for (const DType dtype : {DType::kE4M3, DType::kE4M3Tensor}) {
    const TestTensor codes(dtype, {2, 256});
    (*cpu)->Cast(cpu->context(), x, codes);
    (*cpu)->Cast(cpu->context(), codes, y);
    EXPECT_EQ(y.data<float>()[3], -448);
    EXPECT_EQ(Load(y, 0, 4), 0x1p-9);
    const double elsewhere = dtype == DType::kE4M3 ? 0x1.8p-10 : 0x1p-9;
    EXPECT_EQ(Load(y, 0, 200), elsewhere);
    EXPECT_EQ(Load(y, 1, 0), elsewhere);
  }
}

TEST_P(CpuFp8, EveryCodeDecodesToItsValue) {
  auto cpu = Cpu();
  const TestTensor x(DType::kE4M3, {1, 256}), y(DType::kF32, {1, 256});
  auto* codes = static_cast<uint8_t*>(x.raw());
  for (int i = 0; i < 256; ++i) codes[i] = static_cast<uint8_t>(i);
  const float ones[] = {1, 1};
  std::memcpy(codes + 256, ones, sizeof(ones));
  (*cpu)->Cast(cpu->context(), x, y);
  for (int i = 0; i < 256; ++i) {
    E4M3 code;
    code.bits = static_cast<uint8_t>(i);
    const float value = static_cast<float>(code), actual = y.data<float>()[i];
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(actual)) << i;
    } else {
      EXPECT_EQ(actual, value) << i;
    }
  }
}

TEST_P(CpuFp8, WhatIsNotFiniteMakesItsTileNaN) {
  auto cpu = Cpu();
  for (const DType dtype : kQuantizedTypes) {
    for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
      const TestTensor x = RandomTensor(random_, DType::kF32, {1, 300});
      x.data<float>()[130] = bad;
      const TestTensor codes(dtype, {1, 300}), back(DType::kF32, {1, 300});
      (*cpu)->Cast(cpu->context(), x, codes);
      (*cpu)->Cast(cpu->context(), codes, back);
      for (int64_t j = 0; j < 300; ++j) {
        const bool shares_its_scale = dtype == DType::kE4M3Tensor || j / kScaleTile == 1;
        EXPECT_EQ(std::isnan(back.data<float>()[j]), shares_its_scale) << j;
      }
    }
  }
}

TEST_P(CpuFp8, GatherCopiesCodesAndScales) {
  auto cpu = Cpu(2);
  const TestTensor x(DType::kE4M3, {5, 150});
  (*cpu)->Cast(cpu->context(), RandomTensor(random_, DType::kBF16, {5, 150}), x);
  const TestTensor index = RandomIds(random_, {40}, 5);
  const TestTensor y(DType::kE4M3, {40, 150});
  (*cpu)->GatherRows(cpu->context(), x, index, y);
  for (int64_t r = 0; r < 40; ++r) {
    const int32_t from = LoadIndex(index, r);
    EXPECT_EQ(Bytes(y.Rows(r, r + 1)), Bytes(x.Rows(from, from + 1)));
  }
}

struct Sizes {
  int64_t m, n, k;
};
constexpr Sizes kSizes[] = {{1, 1, 1},      {1, 33, 7},     {2, 64, 128},   {3, 100, 129},
                            {5, 15, 127},   {12, 160, 256}, {13, 129, 255}, {25, 17, 300},
                            {64, 130, 385}, {200, 70, 130}};

TEST_P(CpuFp8, MatmulIsTheProductOfTheRoundedOperands) {
  auto reference = Reference(), cpu = Cpu(2);
  for (const auto& [m, n, k] : kSizes) {
    for (const DType dtype : kE4M3Types) {
      for (const bool transposed : {false, true}) {
        SCOPED_TRACE(testing::Message()
                     << m << " x " << n << " x " << k << " " << Name(dtype) << " " << transposed);
        // Two parts, so that a square reaches over their border.
        const int64_t rows = transposed ? k : n, columns = transposed ? n : k, first = rows / 3;
        const TestTensor b = RowsOfAllSizes(random_, DType::kF32, {rows, columns});
        std::vector<ConstTensor> parts = {b.Rows(first, rows)};
        if (first > 0) parts.insert(parts.begin(), b.Rows(0, first));
        const TestPacked packed(*cpu, parts, dtype, transposed);
        const TestPacked oracle_packed(*reference, parts, dtype, transposed);
        const TestTensor a = RandomTensor(random_, DType::kBF16, {m, k}, 1, 3, 1);
        const TestTensor codes(dtype, {m, k});
        (*cpu)->Cast(cpu->context(), a, codes);
        const TestTensor c = RandomTensor(random_, DType::kF32, {m, n}, 1, 1, 5);
        const TestTensor from_codes = Copy(c), expected = Copy(c);
        const MatmulProblem problem{a, packed.get(), c, m % 2 == 0};
        const MatmulProblem coded{codes, packed.get(), from_codes, m % 2 == 0};
        const MatmulProblem oracle{a, oracle_packed.get(), expected, m % 2 == 0};
        (*cpu)->Matmul(cpu->context(), {&problem, 1});
        (*cpu)->Matmul(cpu->context(), {&coded, 1});
        (*reference)->Matmul(reference->context(), {&oracle, 1});
        ExpectNear(c, expected);
        ExpectSameBits(from_codes, c);
        c.ExpectSurroundingsUntouched();
      }
    }
  }
}

TEST_P(CpuFp8, ARowHasTheSameBitsInAnyBatchOnAnyNumberOfThreads) {
  constexpr int64_t kRows = 300, kN = 203, kK = 391;
  auto one = Cpu();
  const TestTensor a = RandomTensor(random_, DType::kBF16, {kRows, kK});
  const TestPacked packed(*one, RandomTensor(random_, DType::kF32, {kN, kK}), DType::kE4M3);
  const TestTensor whole(DType::kBF16, {kRows, kN});
  const MatmulProblem problem{a, packed.get(), whole};
  (*one)->Matmul(one->context(), {&problem, 1});
  for (const int threads : {1, 2, 4}) {
    auto many = Cpu(threads);
    const TestTensor again(DType::kBF16, {kRows, kN});
    std::vector<MatmulProblem> parts;
    for (int64_t begin = 0, rows = 1; begin < kRows; begin += rows, rows = rows % 40 + threads) {
      rows = std::min(rows, kRows - begin);
      parts.push_back({a.Rows(begin, begin + rows), packed.get(), again.Rows(begin, begin + rows)});
    }
    (*many)->Matmul(many->context(), parts);
    ExpectSameBits(again, whole);
  }
}

TEST_P(CpuFp8, WeightGradientsRoundTilesOfTokens) {
  auto reference = Reference(), cpu = Cpu(2);
  for (const auto& [tokens, n, k] :
       {Sizes{1, 1, 1}, Sizes{7, 33, 20}, Sizes{128, 64, 64}, Sizes{129, 100, 65},
        Sizes{300, 61, 130}, Sizes{700, 50, 257}, Sizes{1300, 13, 33}}) {
    for (const DType x_type : {DType::kBF16, DType::kE4M3, DType::kE4M3Ue8m0, DType::kE4M3Tensor}) {
      SCOPED_TRACE(testing::Message() << tokens << " " << n << " x " << k << " " << Name(x_type));
      const TestTensor dy = RowsOfAllSizes(random_, DType::kBF16, {tokens, n});
      const TestTensor values = RandomTensor(random_, DType::kBF16, {tokens, k});
      TestTensor x = values;
      if (IsQuantized(x_type)) {
        x = TestTensor(x_type, {tokens, k});
        (*cpu)->Cast(cpu->context(), values, x);
      }
      const TestTensor dw = RandomTensor(random_, DType::kF32, {n, k}, 1, 3, 1);
      const TestTensor expected = Copy(dw), again = Copy(dw);
      const bool per_tensor = x_type == DType::kE4M3Tensor || tokens % 2 == 1;
      const auto into = [&](const Tensor& result) {
        return WeightGradientProblem{dy, x, result, /*fp8=*/true, per_tensor};
      };
      const WeightGradientProblem problem = into(dw), oracle = into(expected), same = into(again);
      (*cpu)->MatmulBackwardWeight(cpu->context(), {&problem, 1});
      (*reference)->MatmulBackwardWeight(reference->context(), {&oracle, 1});
      ExpectNear(dw, expected);
      dw.ExpectSurroundingsUntouched();
      auto four = Cpu(4);
      (*four)->MatmulBackwardWeight(four->context(), {&same, 1});
      ExpectSameBits(again, dw);
    }
  }
}

}  // namespace
}  // namespace fathom::test
