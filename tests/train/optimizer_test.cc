// AdamW, clipping and the sum over a step, against torch (scripts/parity/README.md).

#include "train/optimizer.h"

#include <gtest/gtest.h>

#include "backend/cpu/cpu_backend.h"
#include "backend/reference/reference_backend.h"
#include "base/file.h"
#include "base/json.h"
#include "formats/mapped_model.h"
#include "formats/safetensors.h"
#include "ops/test_tensors.h"
#include "train/training_step.h"

namespace fathom::test {
namespace {

namespace fs = std::filesystem;

fs::path Golden() { return fs::path(FATHOM_GOLDEN_DIR) / "model" / "deepseek_v3_no_q_lora"; }

std::vector<double> Numbers(const JsonValue& array) {
  std::vector<double> numbers;
  for (const JsonValue& value : array.Array()) numbers.push_back(value.Number());
  return numbers;
}

// Both golden sequences as one row of two documents.
TokenRows GoldenRows(int64_t depth = 0) {
  const SafetensorsFile expected(Golden() / "expected.safetensors");
  std::vector<std::vector<int32_t>> sequences;
  int64_t length = 0;
  for (int s = 0; s < 2; ++s) {
    const auto ids = expected.Get(fmt::format("seq{}.input_ids", s)).span<int32_t>();
    sequences.emplace_back(ids.begin(), ids.end());
    length += static_cast<int64_t>(ids.size());
  }
  TokenRows rows;
  rows.Reset(1, length, depth);
  int64_t at = 0;
  for (const auto& ids : sequences) {
    const auto count = static_cast<int64_t>(ids.size());
    for (int64_t i = 0; i < count; ++i) {
      rows.tokens[static_cast<size_t>(at + i)] = ids[static_cast<size_t>(i)];
      if (i + 1 < count)
        rows.targets[static_cast<size_t>(at + i)] = ids[static_cast<size_t>(i + 1)];
    }
    rows.segments.push_back({0, at, count});
    at += count;
  }
  return rows;
}

struct Curve {
  std::vector<double> losses, norms;
  std::map<std::string, double> change;  // |parameter after the last step - before the first|
};

// The ten steps of adamw.json, and one more for the loss after them.
Curve TenSteps(std::unique_ptr<Backend> backend, Precision precision, const std::string& moments,
               const std::vector<double>& rates) {
  TestRun run(std::move(backend), 2);
  const ModelConfig model = ReadModelConfig(Golden());
  ParameterStore store(model, precision.sum, run.backend().allocator());
  LoadMasters(Golden(), model, store);
  Transformer transformer(model, precision, store, run.backend().allocator());
  TrainingSettings config;
  config.optimizer = {
      .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1, .clip = 1, .moments = moments};
  config.balance = {.bias_speed = 0, .bias_stop_fraction = 1, .sequence_alpha = 0};
  Optimizer optimizer(config.optimizer, store, run.backend().allocator());
  optimizer.Reset(run.context());
  TrainingStep step(config, transformer, store, optimizer, run.backend().allocator());
  const TokenRows rows = GoldenRows();
  std::map<std::string, std::vector<double>> before;
  for (const auto& parameter : store.all())
    before[parameter->spec.name] = LoadAll(parameter->master);
  Curve curve;
  for (size_t i = 0; i < rates.size(); ++i) {
    const StepResult result =
        step.Run(run.context(), rows, 1, static_cast<int64_t>(i), rates[i], 0, 0);
    EXPECT_EQ(result.bad, "");
    curve.losses.push_back(result.loss);
    curve.norms.push_back(result.grad_norm);
  }
  for (const auto& parameter : store.all()) {
    const std::vector<double> after = LoadAll(parameter->master);
    double squares = 0;
    for (size_t i = 0; i < after.size(); ++i) {
      const double difference = after[i] - before[parameter->spec.name][i];
      squares += difference * difference;
    }
    curve.change[parameter->spec.name] = std::sqrt(squares);
  }
  curve.losses.push_back(
      step.Run(run.context(), rows, 1, static_cast<int64_t>(rates.size()), 0, 0, 0).loss);
  return curve;
}

class AdamW : public testing::Test {
 protected:
  AdamW()
      : text_(ReadFile(Golden() / "adamw.json")),
        document_(text_, "adamw.json"),
        rates_(Numbers(document_.root().At("learning_rates"))) {}

  // tolerance: of losses and gradient norms; change: relative, of the norm of each parameter's
  // change.
  void Expect(const Curve& curve, double tolerance, double change) const {
    const std::vector<double> losses = Numbers(document_.root().At("losses"));
    const std::vector<double> norms =
        Numbers(document_.root().At("gradient_norms_before_clipping"));
    ASSERT_EQ(curve.losses.size(), 11);
    ASSERT_EQ(losses.size(), 11);
    for (size_t i = 0; i < losses.size(); ++i)
      EXPECT_NEAR(curve.losses[i], losses[i], tolerance * losses[i]) << i;
    for (size_t i = 0; i < norms.size(); ++i)
      EXPECT_NEAR(curve.norms[i], norms[i], tolerance * norms[i]) << i;
    size_t compared = 0;
    for (const auto& [name, value] : document_.root().At("change_norm").Object()) {
      const auto found = curve.change.find(std::string(name));
      ASSERT_NE(found, curve.change.end()) << name;
      EXPECT_NEAR(found->second, value.Number(), change * value.Number()) << name;
      ++compared;
    }
    EXPECT_GT(compared, 20);
  }

  std::string text_;
  JsonDocument document_;
  std::vector<double> rates_;
};

TEST_F(AdamW, TenStepsAreTorchsInDouble) {
  // The original's rotary frequencies are rounded to float32, ours are not: 2^-24 = 6e-8.
  Expect(TenSteps(CreateReferenceBackend(), Precision::Double(), "f32", rates_), 6e-8, 6e-8);
}

TEST_F(AdamW, TenStepsAreTorchsOnTheCpu) {
  Expect(TenSteps(CreateCpuBackend(), Precision::F32(), "f32", rates_), 1e-4, 1e-3);
}

TEST_F(AdamW, MomentsInBf16StayClose) {
  const Curve exact = TenSteps(CreateCpuBackend(), Precision::F32(), "f32", rates_);
  const Curve rounded = TenSteps(CreateCpuBackend(), Precision::F32(), "bf16", rates_);
  // bf16 has 8 bits: updates are off by about 2^-9, and so is the way that the loss has gone.
  for (size_t i = 0; i < exact.losses.size(); ++i)
    EXPECT_NEAR(rounded.losses[i], exact.losses[i], 0.02 * exact.losses[0]) << i;
  EXPECT_NE(rounded.losses.back(), exact.losses.back());
}

// ---- By hand, on the smallest store there is.

class OneStep : public testing::Test {
 protected:
  OneStep() : store_(Model(), DType::kF32, run_.backend().allocator()) {
    for (const auto& parameter : store_.all()) {
      Set(parameter->master, 1);
      if (!parameter->grad.empty()) Set(parameter->grad, 0);
    }
  }
  static ModelConfig Model() { return ReadModelConfig(Golden()); }
  static void Set(const Tensor& tensor, double value) {
    StoreAll(tensor, std::vector<double>(static_cast<size_t>(tensor.elements()), value));
  }
  double At(const std::string& name, size_t i = 0) const {
    return LoadAll(store_.Get(name).master)[i];
  }

  TestRun run_{CreateCpuBackend()};
  ParameterStore store_;
};

TEST_F(OneStep, DecayIsForMatricesAlone) {
  Optimizer optimizer({.lr = 0, .weight_decay = 0.5}, store_, run_.backend().allocator());
  optimizer.Reset(run_.context());
  optimizer.Step(run_.context(), 0.1, 1);  // gradients are zero: only decay moves anything
  for (const auto& parameter : store_.all()) {
    const bool decays = parameter->spec.kind == ParameterKind::kMatrix;
    EXPECT_FLOAT_EQ(static_cast<float>(At(parameter->spec.name)), decays ? 0.95F : 1.0F)
        << parameter->spec.name;
  }
}

TEST_F(OneStep, ClippingScalesTheGlobalNorm) {
  // Two gradients of 3 and 4: the norm is 5. With clip 0.5 they become 0.3 and 0.4; m is a tenth
  // of that after one step.
  Parameter& norm = store_.Get("model.norm.weight");
  Parameter& head = store_.Get("lm_head.weight");
  std::vector<double> g(static_cast<size_t>(norm.grad.elements()));
  g[1] = 3;
  StoreAll(norm.grad, g);
  g.assign(static_cast<size_t>(head.grad.elements()), 0);
  g[2] = 4;
  StoreAll(head.grad, g);
  Optimizer optimizer({.beta1 = 0.9, .weight_decay = 0, .clip = 0.5}, store_,
                      run_.backend().allocator());
  optimizer.Reset(run_.context());
  const Optimizer::Norm result = optimizer.Step(run_.context(), 0.1, 1);
  EXPECT_TRUE(result.finite);
  EXPECT_NEAR(result.before_clipping, 5, 1e-6);
  for (const Optimizer::State& state : optimizer.states()) {
    if (state.parameter == &norm) {
      EXPECT_NEAR(LoadAll(state.m)[1], 0.03, 1e-6);
    }
    if (state.parameter == &head) {
      EXPECT_NEAR(LoadAll(state.m)[2], 0.04, 1e-6);
    }
  }
  // The first step of Adam is lr times the sign, whatever the gradient.
  EXPECT_NEAR(At("model.norm.weight", 1), 0.9, 1e-5);
  EXPECT_NEAR(At("lm_head.weight", 2), 0.9, 1e-5);
  EXPECT_EQ(At("lm_head.weight", 0), 1);
}

TEST_F(OneStep, AGradientThatIsNotFiniteChangesNothing) {
  Parameter& head = store_.Get("lm_head.weight");
  std::vector<double> g(static_cast<size_t>(head.grad.elements()), 1);
  Optimizer optimizer({}, store_, run_.backend().allocator());
  optimizer.Reset(run_.context());
  for (const double bad :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    g[5] = bad;
    StoreAll(head.grad, g);
    EXPECT_FALSE(optimizer.Step(run_.context(), 0.1, 1).finite);
    for (const auto& parameter : store_.all()) EXPECT_EQ(At(parameter->spec.name), 1);
    for (const Optimizer::State& state : optimizer.states()) EXPECT_EQ(LoadAll(state.m)[0], 0);
  }
}

}  // namespace
}  // namespace fathom::test
