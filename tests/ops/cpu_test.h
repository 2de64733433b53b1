#pragma once

// What the tests of the CPU backend share: every test runs on each instruction set that this
// machine has, against the reference backend.

#include "backend/cpu/cpu_backend.h"
#include "backend/reference/reference_backend.h"
#include "ops/test_tensors.h"

namespace fathom::test {

class CpuTest : public testing::TestWithParam<CpuTarget> {
 protected:
  void SetUp() override {
    if (!HasCpuTarget(GetParam())) GTEST_SKIP() << "this machine has no such instructions";
  }
  static std::unique_ptr<TestRun> Cpu(int threads = 1) {
    return std::make_unique<TestRun>(CreateCpuBackend(GetParam()), threads);
  }
  static std::unique_ptr<TestRun> Reference() {
    return std::make_unique<TestRun>(CreateReferenceBackend());
  }
  // What a result of this type may differ from the double-precision one, in the norm and in an
  // element: a sum of a few hundred terms, rounded once.
  static void ExpectNear(const ConstTensor& actual, const ConstTensor& expected) {
    const bool bf16 = actual.dtype() == DType::kBF16;
    ExpectClose(actual, expected, bf16 ? 4e-3 : 2e-6, bf16 ? 8e-3 : 2e-5);
  }

  RandomStream random_{20261123};
};

inline std::string TargetName(const testing::TestParamInfo<CpuTarget>& info) {
  return info.param == CpuTarget::kAvx2 ? "Avx2" : "Avx512";
}

#define FATHOM_FOR_CPU_TARGETS(suite)                                                            \
  class suite : public ::fathom::test::CpuTest {};                                               \
  INSTANTIATE_TEST_SUITE_P(                                                                      \
      Targets, suite, testing::Values(::fathom::CpuTarget::kAvx2, ::fathom::CpuTarget::kAvx512), \
      ::fathom::test::TargetName)

inline constexpr DType kActTypes[] = {DType::kF32, DType::kBF16};

}  // namespace fathom::test
