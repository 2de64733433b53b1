// The losses of reward models and their gradients, by the scores and by every parameter of a model,
// against central differences in double.

#include "posttrain/reward_model/score_objective.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include "backend/cpu/cpu_backend.h"
#include "backend/reference/reference_backend.h"
#include "model/tiny_model.h"
#include "train/training_step.h"

namespace fathom::test {
namespace {

// Two rows of 12 tokens: a pair of 5 and 3, one of 4 and 6 with 2 left free. As single texts: the
// better ones with label 1, the worse ones with label 0.
TokenRows Rows(bool pairs, int64_t vocabulary) {
  TokenRows rows;
  rows.Reset(2, 12, 0);
  RandomStream random(3);
  for (int32_t& token : rows.tokens)
    token = static_cast<int32_t>(random.NextBelow(static_cast<uint64_t>(vocabulary)));
  const int64_t lengths[2][3] = {{5, 3, 4}, {4, 6, 2}};
  for (int64_t row = 0; row < 2; ++row) {
    int64_t column = 0, ends[3];
    for (int i = 0; i < 3; ++i) {
      rows.segments.push_back({.row = row, .begin = column, .length = lengths[row][i]});
      column += lengths[row][i];
      ends[i] = column - 1;
      if (i < 2) rows.targets[static_cast<size_t>(row * 12 + ends[i])] = 0;
    }
    if (pairs) {
      rows.examples.push_back({.row = row,
                               .end = ends[0],
                               .worse_end = ends[1],
                               .value = 0.5 * static_cast<double>(row)});
    } else {
      rows.examples.push_back({.row = row, .end = ends[0], .value = 1});
      rows.examples.push_back({.row = row, .end = ends[1], .value = 0});
    }
  }
  return rows;
}

std::unique_ptr<RowObjective> Objective(bool pairs) {
  if (pairs) return std::make_unique<PairwiseObjective>(0.1);
  return std::make_unique<PointwiseObjective>();
}

TEST(ScoreObjective, LossesAreTheirFormulas) {
  TokenRows rows = Rows(true, 29);
  std::vector<double> outputs(24), gradient(24);
  outputs[4] = 2, outputs[7] = 0.5;     // the first pair
  outputs[15] = -1, outputs[21] = 0.3;  // the second, with a margin of 0.5
  const ObjectiveSums sums = PairwiseObjective(0.1).Loss(rows, outputs, gradient);
  const double first = -std::log(1 / (1 + std::exp(-1.5)));
  const double second = -std::log(1 / (1 + std::exp(1.8)));
  EXPECT_DOUBLE_EQ(sums.at("preference"), first + second);
  EXPECT_DOUBLE_EQ(sums.at("centering"), 0.1 * (2.5 * 2.5 + 0.7 * 0.7));
  EXPECT_DOUBLE_EQ(sums.at("loss"), sums.at("preference") + sums.at("centering"));
  EXPECT_EQ(sums.at("pair_accuracy"), 1);
  EXPECT_DOUBLE_EQ(sums.at("score_difference"), 1.5 - 1.3);

  rows = Rows(false, 29);
  const ObjectiveSums labels = PointwiseObjective().Loss(rows, outputs, gradient);
  const auto nll = [](double probability) { return -std::log(probability); };
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  EXPECT_DOUBLE_EQ(labels.at("loss"), nll(sigmoid(2)) + nll(1 - sigmoid(0.5)) + nll(sigmoid(-1)) +
                                          nll(1 - sigmoid(0.3)));
  EXPECT_EQ(labels.at("label_accuracy"), 1);
  // Without overflow.
  EXPECT_EQ(NegativeLogSigmoid(1000), 0);
  EXPECT_EQ(NegativeLogSigmoid(-1000), 1000);
  EXPECT_EQ(Sigmoid(-1000), 0);
}

TEST(ScoreObjective, GradientsByScoresAreCentralDifferences) {
  for (const bool pairs : {true, false}) {
    const TokenRows rows = Rows(pairs, 29);
    const auto objective = Objective(pairs);
    RandomStream random(7);
    std::vector<double> outputs(24);
    for (double& output : outputs) output = random.NextNormal();
    std::vector<double> gradient(24), unused(24);
    objective->Loss(rows, outputs, gradient);
    for (size_t i = 0; i < outputs.size(); ++i) {
      const auto at = [&](double step) {
        std::vector<double> moved = outputs;
        moved[i] += step;
        return objective->Loss(rows, moved, unused).at("loss");
      };
      EXPECT_NEAR(gradient[i], (at(1e-5) - at(-1e-5)) / 2e-5, 1e-9) << i;
    }
  }
}

ModelConfig Scoring(ModelConfig config) {
  config.num_labels = 1;
  config.num_nextn_predict_layers = 0;
  return config;
}

struct Variant {
  std::string name;
  ModelConfig config;
  AttentionForm form;
  bool pairs;
};

class ScoreGradient : public testing::TestWithParam<Variant> {};

// Forward and backward; returns the loss.
double Compute(TestRun& run, const Transformer& model, const TokenRows& rows,
               const RowObjective& objective, AttentionForm form, SavedActivations& saved) {
  double loss = 0;
  LossOptions options{.form = form, .target_weight = {0}};
  options.doutput = [&](std::span<const double> outputs) {
    std::vector<double> gradient(outputs.size());
    loss = objective.Loss(rows, outputs, gradient).at("loss");
    return gradient;
  };
  LanguageModelLoss(run.context(), model, MakeLossInput(rows), options, &saved);
  return loss;
}

TEST_P(ScoreGradient, MatchesCentralDifferencesAndTheCpu) {
  const Variant& variant = GetParam();
  const TokenRows rows = Rows(variant.pairs, variant.config.vocab_size);
  const auto objective = Objective(variant.pairs);
  TestRun run(CreateReferenceBackend());
  TinyModel tiny(run, variant.config, Precision::Double());
  EXPECT_EQ(tiny.store.Get("score.weight").spec.shape.elements(), variant.config.hidden_size);
  EXPECT_EQ(tiny.store.Find("lm_head.weight"), nullptr);
  SavedActivations saved(HostAllocator());
  const double loss = Compute(run, tiny.model, rows, *objective, variant.form, saved);
  // Scores are of a size that the loss bends at.
  EXPECT_GT(loss, 0.2);
  EXPECT_LT(loss, 20);
  std::vector<std::vector<double>> expected;
  for (const auto& parameter : tiny.store.all())
    expected.push_back(parameter->grad.empty() ? std::vector<double>() : LoadAll(parameter->grad));
  ExpectDerivatives(run, tiny, 77, 1e-8, [&] {
    return Compute(run, tiny.model, rows, *objective, variant.form, saved);
  });

  // What users compute with: f32.
  TestRun cpu(CreateCpuBackend());
  TinyModel fast(cpu, variant.config, Precision::F32());
  for (size_t p = 0; p < expected.size(); ++p)
    StoreAll(fast.store.all()[p]->master, LoadAll(tiny.store.all()[p]->master));
  fast.store.MarkChanged();
  fast.Pack(cpu.context());
  SavedActivations fast_saved(HostAllocator());
  EXPECT_NEAR(Compute(cpu, fast.model, rows, *objective, variant.form, fast_saved), loss, 1e-5);
  for (size_t p = 0; p < expected.size(); ++p) {
    const Parameter& parameter = *fast.store.all()[p];
    if (parameter.grad.empty()) continue;
    const std::vector<double> values = LoadAll(parameter.grad);
    double error = 0, norm = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      error += (values[i] - expected[p][i]) * (values[i] - expected[p][i]);
      norm += expected[p][i] * expected[p][i];
    }
    EXPECT_LE(std::sqrt(error), 1e-4 * std::sqrt(norm) + 1e-6) << parameter.spec.name;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Models, ScoreGradient,
    testing::Values(
        Variant{"deepseek_pairs", Scoring(TinyConfig()), AttentionForm::kExpanded, true},
        Variant{"deepseek_labels", Scoring(TinyConfig()), AttentionForm::kAbsorbed, false},
        Variant{"qwen2_tied_pairs", Scoring(TinyQwen2()), AttentionForm::kExpanded, true},
        Variant{"llama_labels", Scoring(TinyLlama()), AttentionForm::kExpanded, false}),
    [](const auto& variant) { return variant.param.name; });

// The head is a product of the last token's final hidden state; a score is the same in any company.
TEST(SequenceScoresTest, AScoreDependsOnItsTextAlone) {
  for (const Precision& precision : {Precision::F32(), Precision::BF16()}) {
    TestRun run(CreateCpuBackend(), 2);
    TinyModel tiny(run, Scoring(TinyConfig()), precision);
    RandomStream random(11);
    std::vector<std::vector<int32_t>> texts;
    for (const size_t length : {1, 7, 40, 3, 300, 12}) {
      std::vector<int32_t>& text = texts.emplace_back(length);
      for (int32_t& id : text) id = static_cast<int32_t>(random.NextBelow(29));
    }
    const auto together =
        SequenceScores(run.context(), tiny.model, texts, AttentionForm::kAbsorbed);
    for (size_t i = 0; i < texts.size(); ++i) {
      const auto alone = SequenceScores(run.context(), tiny.model, std::span(texts).subspan(i, 1),
                                        AttentionForm::kAbsorbed);
      EXPECT_EQ(alone[0], together[i]) << i;
    }
    EXPECT_NE(together[1], together[2]);
  }
}

}  // namespace
}  // namespace fathom::test
