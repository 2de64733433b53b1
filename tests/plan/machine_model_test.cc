#include "plan/machine_model.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace fathom {
namespace {

MachineRates Rates() {
  return {.bf16_peak = FlopsPerSecond(400e9),
          .f32_peak = FlopsPerSecond(200e9),
          .bandwidth = Bytes(50e9) / Seconds(1),
          .cache = Bytes(100e9) / Seconds(1),
          .cache_size = Bytes(0)};
}

// Times that are made of known factors are found again, and predict other work exactly.
TEST(MachineModelTest, FactorsAreFound) {
  const std::vector<double> truth = {1.5, 3, 2, 0, 0.7};
  std::vector<Calibrated> cases;
  RandomStream random(5);
  for (int i = 0; i < 20; ++i) {
    Calibrated c{.parts = {}, .tokens = 1, .fitted = i < 14};
    double time = 0;
    for (const double factor : truth) {
      c.parts.push_back(0.1 + random.NextUniform());
      time += factor * c.parts.back();
    }
    c.measured = Seconds(time);
    c.name = fmt::format("case {}", i);
    cases.push_back(c);
  }
  const std::vector<double> found = FitFactors(cases);
  for (size_t i = 0; i < truth.size(); ++i) EXPECT_NEAR(found[i], truth[i], 1e-3);
  const Report report = ReportCalibration(
      Rates(), cases, {{"a run", Bytes(110), Bytes(100)}, {"another", Bytes(98), Bytes(100)}});
  EXPECT_LT(report.Find("median errors of what was not fitted", "throughput")->value, 0.1);
  EXPECT_NEAR(report.Find("median errors of what was not fitted", "memory")->value, 6, 1e-9);
}

TEST(MachineModelTest, PartsByHand) {
  const Architecture nano = DescribeArchitecture(PublishedConfig("nano"));
  const auto parts = [&](const MachineWork& w) { return PartsOf(nano, Rates(), w); };
  // With so many tokens that operations bound every product: dense and expert products together
  // are 2 operations an active parameter (the head is one token's, so it is left out here).
  const MachineWork work{.kind = MachineWork::Kind::kPrefill, .tokens = 1e6, .keys = 100};
  const std::vector<double> p = parts(work);
  const double head = static_cast<double>(nano.head.rows * nano.head.columns);
  const double active = static_cast<double>(nano.counts.active_matmul) - head;
  EXPECT_NEAR((p[0] + p[1]) * 400e9, 2 * active * 1e6 + 2 * head, 0.01 * 2 * active * 1e6);
  // One token reads its weights: dense parameters and the experts it chose, two bytes each.
  MachineWork one = work;
  one.tokens = 1;
  const std::vector<double> q = parts(one);
  EXPECT_NEAR((q[0] + q[1]) * 50e9, 2 * (active + head), 0.01 * 2 * (active + head));
}

}  // namespace
}  // namespace fathom
