#include "train/training_step.h"

#include <gtest/gtest.h>

#include <numeric>

#include "backend/cpu/cpu_backend.h"
#include "backend/profiling/profiling_backend.h"
#include "backend/reference/reference_backend.h"
#include "ops/test_tensors.h"
#include "train/throughput.h"
#include "train/tiny_run.h"

namespace fathom::test {
namespace {

using Documents = std::vector<std::vector<int32_t>>;

// Documents of these lengths, of random tokens.
Documents RandomDocuments(const std::vector<int64_t>& lengths, uint64_t seed) {
  RandomStream random(seed);
  Documents documents;
  for (const int64_t length : lengths) {
    auto& document = documents.emplace_back();
    for (int64_t i = 0; i < length; ++i)
      document.push_back(static_cast<int32_t>(random.NextBelow(300)));
  }
  return documents;
}

// Rows of documents that fill each of them exactly; what would be predicted across a border is not.
TokenRows RowsOf(const std::vector<Documents>& rows, int64_t depth) {
  int64_t length = 0;
  for (const auto& document : rows[0]) length += static_cast<int64_t>(document.size());
  TokenRows result;
  result.Reset(static_cast<int64_t>(rows.size()), length, depth);
  for (int64_t row = 0; row < result.rows; ++row) {
    int64_t at = 0;
    for (const auto& document : rows[static_cast<size_t>(row)]) {
      const auto count = static_cast<int64_t>(document.size());
      for (int64_t i = 0; i < count; ++i) {
        result.tokens[static_cast<size_t>(row * (length + 1 + depth) + at + i)] =
            document[static_cast<size_t>(i)];
        for (int64_t level = 0; level <= depth && i + 1 + level < count; ++level) {
          result.targets[static_cast<size_t>((level * result.rows + row) * length + at + i)] =
              document[static_cast<size_t>(i + 1 + level)];
        }
      }
      result.segments.push_back({row, at, count});
      at += count;
    }
    EXPECT_EQ(at, length);
  }
  return result;
}

// Five rows of 24 tokens, cut into documents in different ways.
TokenRows FiveRows(int64_t depth = 1) {
  return RowsOf(
      {RandomDocuments({24}, 1), RandomDocuments({10, 14}, 2), RandomDocuments({1, 22, 1}, 3),
       RandomDocuments({8, 8, 8}, 4), RandomDocuments({20, 4}, 5)},
      depth);
}

// Everything a step needs, on one backend.
struct Bench {
  Bench(std::unique_ptr<Backend> backend, int threads, Precision precision,
        const RunConfig& run_config = {}, const ModelConfig& model_config = TinyRunModel())
      : config(run_config),
        model(model_config),
        run(std::move(backend), threads),
        store(model, precision.sum, run.backend().allocator()),
        transformer(model, precision, store, run.backend().allocator()),
        optimizer(config.optimizer, store, run.backend().allocator()),
        step(config, transformer, store, optimizer, run.backend().allocator()) {
    InitializeParameters(model, 3, *run.context().pool, store);
    store.MarkChanged();
    optimizer.Reset(run.context());
  }
  StepResult Run(const TokenRows& rows, int64_t micro_rows, double lr = 1e-2,
                 double bias_speed = 0) {
    return step.Run(run.context(), rows, micro_rows, steps++, lr, 0.3, bias_speed);
  }
  Tensor Master(const std::string& name) { return store.Get(name).master; }

  RunConfig config;
  ModelConfig model;
  TestRun run;
  ParameterStore store;
  Transformer transformer;
  Optimizer optimizer;
  TrainingStep step;
  int64_t steps = 0;
};

void ExpectSameState(const Bench& a, const Bench& b) {
  for (size_t i = 0; i < a.store.all().size(); ++i) {
    SCOPED_TRACE(a.store.all()[i]->spec.name);
    ExpectSameBits(a.store.all()[i]->master, b.store.all()[i]->master);
    if (!a.store.all()[i]->grad.empty())
      ExpectSameBits(a.store.all()[i]->grad, b.store.all()[i]->grad);
  }
  for (size_t i = 0; i < a.optimizer.states().size(); ++i) {
    ExpectSameBits(a.optimizer.states()[i].m, b.optimizer.states()[i].m);
    ExpectSameBits(a.optimizer.states()[i].v, b.optimizer.states()[i].v);
  }
}

TEST(MakeLossInput, LaysRowsOneAfterTheOther) {
  TokenRows rows;
  rows.Reset(2, 3, 1);
  rows.tokens = {1, 2, 3, 4, 5, /**/ 6, 7, 8, 9, 10};
  rows.targets = {2, -1, 4, 7, 8, 9, /* level 1 */ -1, 4, 5, 8, 9, -1};
  rows.segments = {{0, 0, 2}, {0, 2, 1}, {1, 0, 3}};
  const LossInput input = MakeLossInput(rows);
  ASSERT_EQ(input.inputs.size(), 2);
  EXPECT_EQ(input.inputs[0], (std::vector<int32_t>{1, 2, 3, 6, 7, 8}));
  EXPECT_EQ(input.inputs[1], (std::vector<int32_t>{2, 3, 4, 7, 8, 9}));
  EXPECT_EQ(input.targets[0], (std::vector<int32_t>{2, -1, 4, 7, 8, 9}));
  EXPECT_EQ(input.targets[1], (std::vector<int32_t>{-1, 4, 5, 8, 9, -1}));
  EXPECT_EQ(input.balance_group, (std::vector<int32_t>{0, 0, 0, 1, 1, 1}));
  ASSERT_EQ(input.sequences.size(), 3);
  EXPECT_EQ(input.sequences[1].begin, 2);
  EXPECT_EQ(input.sequences[1].count, 1);
  EXPECT_EQ(input.sequences[2].begin, 3);
  EXPECT_EQ(input.sequences[2].count, 3);
  for (const BatchSequence& sequence : input.sequences) EXPECT_EQ(sequence.first_position, 0);
}

// What a step multiplies is what model FLOPs utilisation divides by: weight gradients are a third
// of it, and no product is missing or made twice.
TEST(TrainingStep, MultipliesWhatModelFlopsCount) {
  const std::unique_ptr<Backend> device = CreateCpuBackend();
  auto profiling = std::make_unique<ProfilingBackend>(*device);
  ProfilingBackend& backend = *profiling;
  RunConfig config;
  config.precision.recompute = false;
  Bench bench(std::move(profiling), 1, Precision::F32(), config);
  backend.profile().Clear();
  const TokenRows rows = RowsOf({RandomDocuments({24}, 1), RandomDocuments({24}, 2)}, 1);
  const StepResult result = bench.Run(rows, 2);
  double products = 0, weight_gradients = 0, attention = 0;
  for (const OperationProfile& operation : backend.profile().Operations()) {
    if (operation.name == "Matmul") products += operation.flops;
    if (operation.name == "MatmulBackwardWeight") weight_gradients += operation.flops;
    if (operation.name == "Attention") attention += operation.flops;
  }
  const double tokens = static_cast<double>(rows.rows * rows.length);
  const double model = TrainingFlops(bench.model, tokens, 0);
  EXPECT_DOUBLE_EQ(weight_gradients, model / 3);
  EXPECT_DOUBLE_EQ(products, 2 * model / 3);
  EXPECT_DOUBLE_EQ(attention,
                   (TrainingFlops(bench.model, tokens, result.attention_pairs) - model) / 3);
}

TEST(TrainingStep, CountsWhatItDid) {
  Bench bench(CreateCpuBackend(), 2, Precision::F32());
  const StepResult result = bench.Run(FiveRows(), 2);
  EXPECT_EQ(result.bad, "");
  // 11 documents, each of which has one target less than tokens.
  EXPECT_EQ(result.targets, 120 - 11);
  EXPECT_EQ(result.mtp_loss.size(), 1);
  const auto pairs = [](double n) { return n * (n + 1) / 2; };
  EXPECT_EQ(result.attention_pairs, pairs(24) + pairs(10) + pairs(14) + 2 + pairs(22) +
                                        3 * pairs(8) + pairs(20) + pairs(4));
  ASSERT_EQ(result.expert_load.tokens.size(), 3);
  EXPECT_TRUE(result.expert_load.tokens[0].empty());
  for (const size_t layer : {1, 2}) {  // with experts; the MTP module
    const std::vector<int64_t>& load = result.expert_load.tokens[layer];
    ASSERT_EQ(load.size(), 4);
    EXPECT_EQ(std::accumulate(load.begin(), load.end(), int64_t{0}), 2 * 120);
  }
  // Before anything is learnt, every token is about as likely as any other.
  EXPECT_NEAR(result.loss, std::log(300), 0.5);
  EXPECT_NEAR(result.mtp_loss[0], std::log(300), 0.5);
}

TEST(TrainingStep, MicroBatchesOfAnySizeAreOneStep) {
  Bench whole(CreateReferenceBackend(), 2, Precision::Double());
  const StepResult expected = whole.Run(FiveRows(), 5);
  EXPECT_GT(expected.balance_loss, 0);
  for (const int64_t micro_rows : {1, 2, 3, 4, 7}) {
    SCOPED_TRACE(micro_rows);
    Bench bench(CreateReferenceBackend(), 2, Precision::Double());
    const StepResult result = bench.Run(FiveRows(), micro_rows);
    EXPECT_NEAR(result.loss, expected.loss, 1e-12);
    EXPECT_NEAR(result.mtp_loss[0], expected.mtp_loss[0], 1e-12);
    EXPECT_NEAR(result.balance_loss, expected.balance_loss, 1e-12);
    EXPECT_NEAR(result.grad_norm, expected.grad_norm, 1e-12 * expected.grad_norm);
    EXPECT_EQ(result.targets, expected.targets);
    EXPECT_EQ(result.attention_pairs, expected.attention_pairs);
    EXPECT_EQ(result.expert_load.tokens, expected.expert_load.tokens);
    for (const auto& parameter : whole.store.all()) {
      if (parameter->grad.empty()) continue;
      EXPECT_LT(RelativeError(bench.store.Get(parameter->spec.name).grad, parameter->grad), 1e-11)
          << parameter->spec.name;
    }
  }
}

TEST(TrainingStep, MicroBatchesOnTheCpuAreCloseInF32) {
  Bench whole(CreateCpuBackend(), 2, Precision::F32());
  const StepResult expected = whole.Run(FiveRows(), 5);
  Bench bench(CreateCpuBackend(), 2, Precision::F32());
  const StepResult result = bench.Run(FiveRows(), 2);
  EXPECT_NEAR(result.loss, expected.loss, 1e-6 * expected.loss);
  EXPECT_EQ(result.expert_load.tokens, expected.expert_load.tokens);
  for (const auto& parameter : whole.store.all()) {
    if (parameter->grad.empty()) continue;
    EXPECT_LT(RelativeError(bench.store.Get(parameter->spec.name).grad, parameter->grad), 1e-5)
        << parameter->spec.name;
  }
}

TEST(TrainingStep, ThreadsDoNotChangeABit) {
  for (const Precision precision : {Precision::F32(), Precision::BF16()}) {
    Bench one(CreateCpuBackend(), 1, precision);
    for (int i = 0; i < 3; ++i) one.Run(FiveRows(), 2, 1e-2, 1e-3);
    for (const int threads : {2, 3, 4}) {
      SCOPED_TRACE(fmt::format("{}, {} threads", Name(precision.act), threads));
      Bench many(CreateCpuBackend(), threads, precision);
      for (int i = 0; i < 3; ++i) many.Run(FiveRows(), 2, 1e-2, 1e-3);
      ExpectSameState(many, one);
    }
  }
}

TEST(TrainingStep, RecomputationDoesNotChangeABit) {
  for (const Precision precision : {Precision::F32(), Precision::BF16()}) {
    for (const char* attention : {"expanded", "absorbed"}) {
      SCOPED_TRACE(fmt::format("{} {}", Name(precision.act), attention));
      RunConfig config;
      config.precision.attention = attention;
      Bench kept(CreateCpuBackend(), 2, precision, config);
      config.precision.recompute = true;
      Bench again(CreateCpuBackend(), 2, precision, config);
      for (int i = 0; i < 2; ++i) {
        const StepResult a = kept.Run(FiveRows(), 2), b = again.Run(FiveRows(), 2);
        EXPECT_EQ(a.loss, b.loss);
        EXPECT_EQ(a.grad_norm, b.grad_norm);
      }
      ExpectSameState(again, kept);
      EXPECT_LT(again.step.saved_bytes(), kept.step.saved_bytes());
    }
  }
}

TEST(TrainingStep, BothFormsOfAttentionLearnTheSame) {
  RunConfig config;
  Bench expanded(CreateReferenceBackend(), 2, Precision::Double(), config);
  config.precision.attention = "absorbed";
  Bench absorbed(CreateReferenceBackend(), 2, Precision::Double(), config);
  const StepResult a = expanded.Run(FiveRows(), 5), b = absorbed.Run(FiveRows(), 5);
  EXPECT_NEAR(a.loss, b.loss, 1e-12);
  EXPECT_NEAR(a.grad_norm, b.grad_norm, 1e-11);
}

TEST(TrainingStep, APackedRowIsItsDocumentsAlone) {
  RunConfig config;
  config.balance.sequence_alpha = 0;  // that one is of whole rows
  const Documents documents = RandomDocuments({9, 1, 14}, 8);
  Bench packed(CreateReferenceBackend(), 2, Precision::Double(), config);
  const StepResult together = packed.Run(RowsOf({documents}, 1), 1);
  double nll = 0, mtp_nll = 0;
  std::vector<int64_t> load(4);
  for (const auto& document : documents) {
    Bench alone(CreateReferenceBackend(), 2, Precision::Double(), config);
    const TokenRows row = RowsOf({{document}}, 1);
    const StepResult result = alone.Run(row, 1);
    const auto targets = static_cast<double>(document.size() - 1);
    const double mtp_targets = std::max(0.0, targets - 1);
    nll += result.loss * targets;
    mtp_nll += result.mtp_loss[0] * mtp_targets;
    for (size_t e = 0; e < 4; ++e) load[e] += result.expert_load.tokens[1][e];
  }
  EXPECT_NEAR(together.loss * 21, nll, 1e-10);
  EXPECT_NEAR(together.mtp_loss[0] * 19, mtp_nll, 1e-10);
  EXPECT_EQ(together.expert_load.tokens[1], load);
}

TEST(TrainingStep, NoDocumentSeesAnother) {
  Bench bench(CreateCpuBackend(), 2, Precision::BF16());
  bench.transformer.Pack(bench.run.context(), AttentionForm::kExpanded, /*training=*/false);
  const Documents one = RandomDocuments({10, 14}, 1), other = RandomDocuments({10, 14}, 2);
  const auto losses = [&](const Documents& documents) {
    return TokenLosses(bench.run.context(), bench.transformer,
                       MakeLossInput(RowsOf({documents}, 0)), AttentionForm::kExpanded);
  };
  const std::vector<double> before = losses(one);
  const std::vector<double> first_changed = losses({other[0], one[1]});
  const std::vector<double> second_changed = losses({one[0], other[1]});
  for (size_t i = 0; i < 24; ++i) {
    EXPECT_EQ(i < 10 ? second_changed[i] : first_changed[i], before[i]) << i;
    if (i == 9 || i == 23) {
      EXPECT_EQ(before[i], 0);  // nothing is predicted across the border
    }
  }
  EXPECT_NE(first_changed[0], before[0]);
}

TEST(TrainingStep, RouterBiasesMoveAgainstTheLoad) {
  Bench bench(CreateCpuBackend(), 2, Precision::F32());
  const char* names[] = {"model.layers.1.mlp.gate.e_score_correction_bias",
                         "model.layers.2.mlp.gate.e_score_correction_bias"};
  const StepResult result = bench.Run(FiveRows(), 2, 0, 0.125);
  for (size_t l = 0; l < 2; ++l) {
    for (size_t e = 0; e < 4; ++e) {
      const int64_t load = result.expert_load.tokens[l + 1][e];
      EXPECT_EQ(LoadAll(bench.Master(names[l]))[e], load < 60 ? 0.125 : (load > 60 ? -0.125 : 0));
    }
  }
  const std::vector<double> before = LoadAll(bench.Master(names[0]));
  bench.Run(FiveRows(), 2, 0, 0);
  EXPECT_EQ(LoadAll(bench.Master(names[0])), before);  // speed 0: they stay
}

// ---- Numbers that are not finite

void Poison(const Tensor& tensor, double value) {
  std::vector<double> values = LoadAll(tensor);
  values[values.size() / 2] = value;
  StoreAll(tensor, values);
}

class BadNumbers : public testing::Test {
 protected:
  // Runs one good step, poisons, runs another one: what is found, and that nothing moved.
  std::string Find(const std::function<void()>& poison, const TokenRows& rows = FiveRows()) {
    EXPECT_EQ(bench_.Run(FiveRows(), 2).bad, "");
    poison();
    bench_.store.MarkChanged();
    std::vector<std::vector<double>> masters, moments;
    for (const auto& p : bench_.store.all()) masters.push_back(LoadAll(p->master));
    for (const auto& s : bench_.optimizer.states()) moments.push_back(LoadAll(s.v));
    const StepResult result = bench_.Run(rows, 2, 1e-2, 1e-3);
    for (size_t i = 0; i < masters.size(); ++i) {
      const std::vector<double> now = LoadAll(bench_.store.all()[i]->master);
      EXPECT_EQ(std::memcmp(now.data(), masters[i].data(), now.size() * sizeof(double)), 0)
          << bench_.store.all()[i]->spec.name << " moved";
    }
    for (size_t i = 0; i < moments.size(); ++i)
      EXPECT_EQ(LoadAll(bench_.optimizer.states()[i].v), moments[i]);
    return result.bad;
  }
  Bench bench_{CreateCpuBackend(), 2, Precision::F32()};
};

TEST_F(BadNumbers, AParameterIsNamed) {
  for (const char* name :
       {"model.layers.0.self_attn.o_proj.weight", "model.layers.1.mlp.experts.2.up_proj.weight",
        "model.norm.weight", "model.layers.2.eh_proj.weight"}) {
    Bench fresh(CreateCpuBackend(), 2, Precision::F32());
    const Tensor master = fresh.Master(name);
    Poison(master, std::numeric_limits<double>::quiet_NaN());
    fresh.store.MarkChanged();
    EXPECT_EQ(fresh.Run(FiveRows(), 2).bad, std::string("parameter ") + name);
  }
  EXPECT_EQ(Find([&] {
              Poison(bench_.Master("lm_head.weight"), std::numeric_limits<double>::infinity());
            }),
            "parameter lm_head.weight");
}

TEST_F(BadNumbers, TheFirstActivationThatOverflowsIsNamed) {
  EXPECT_EQ(Find([&] {
              for (const char* name : {"gate_proj", "up_proj"}) {
                const Tensor w = bench_.Master(fmt::format("model.layers.0.mlp.{}.weight", name));
                StoreAll(w, std::vector<double>(static_cast<size_t>(w.elements()), 3e38));
              }
            }),
            "activation model.layers.0: mlp gate and up projections");
}

TEST_F(BadNumbers, ANumberThatOverflowsInTheMtpModuleAloneStopsTheStepToo) {
  const std::string bad = Find([&] {
    const Tensor w = bench_.Master("model.layers.2.mlp.shared_experts.gate_proj.weight");
    StoreAll(w, std::vector<double>(static_cast<size_t>(w.elements()), 3e38));
  });
  EXPECT_NE(bad, "");
  EXPECT_NE(bad.find("layers.2"), std::string::npos) << bad;
}

}  // namespace
}  // namespace fathom::test
