// A whole model in the FP8 recipe.

#include <gtest/gtest.h>

#include "backend/cpu/cpu_backend.h"
#include "backend/reference/reference_backend.h"
#include "model/tiny_model.h"

namespace fathom::test {
namespace {

// Two tiles wide, so that scales differ within a row.
ModelConfig Wide() {
  ModelConfig config = TinyConfig();
  config.hidden_size = 160;
  config.q_lora_rank = 130;
  config.intermediate_size = 200;
  config.moe_intermediate_size = 70;
  config.initializer_range = 0.06;
  return config;
}

struct Result {
  double loss;
  std::vector<double> gradients;
};

Result LossAndGradients(std::unique_ptr<Backend> backend, Precision precision) {
  TestRun run(std::move(backend), 2);
  TinyModel tiny(run, Wide(), precision);
  const LossInput input = RandomLossInput(Wide(), {140, 5, 64}, 9);
  SavedActivations saved(run.backend().allocator());
  const LossOutput output =
      LanguageModelLoss(run.context(), tiny.model, input,
                        {.form = AttentionForm::kExpanded, .target_weight = {0.01, 0.003}}, &saved);
  Result result{output.nll[0], {}};
  for (const auto& parameter : tiny.store.all()) {
    if (parameter->grad.empty()) continue;
    for (const double value : LoadAll(parameter->grad)) result.gradients.push_back(value);
  }
  return result;
}

double Distance(const std::vector<double>& a, const std::vector<double>& b) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  return std::sqrt(difference / norm);
}

class Fp8Model : public testing::TestWithParam<DType> {};

// The CPU and the oracle round to the same types at the same places. A sum's last bit may push a
// number to the next code, so that the two agree to a fraction of what the recipe itself costs.
TEST_P(Fp8Model, TheCpuFollowsTheReferenceOfTheSameRecipe) {
  const Result cpu =
      LossAndGradients(CreateCpuBackend(CpuTarget::kBest), Precision::FP8(GetParam()));
  const Result reference = LossAndGradients(CreateReferenceBackend(), Precision::FP8(GetParam()));
  const Result exact = LossAndGradients(CreateReferenceBackend(), Precision::Double());
  const double cost = Distance(reference.gradients, exact.gradients);
  EXPECT_GT(cost, 0.02);  // three bits of mantissa
  EXPECT_LT(cost, 0.25);
  EXPECT_LT(Distance(cpu.gradients, reference.gradients), 0.5 * cost);
  EXPECT_NEAR(cpu.loss, reference.loss, 2e-3 * reference.loss);
  EXPECT_NEAR(cpu.loss, exact.loss, 1e-2 * exact.loss);
}

INSTANTIATE_TEST_SUITE_P(Scales, Fp8Model,
                         testing::Values(DType::kE4M3, DType::kE4M3Ue8m0, DType::kE4M3Tensor));

}  // namespace
}  // namespace fathom::test
