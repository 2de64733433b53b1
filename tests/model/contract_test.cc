// The numerics contract on the whole model: a token's logits are a function of the weights and the
// tokens before it, bit for bit, and gradients do not depend on the number of threads.

#include <gtest/gtest.h>

#include "backend/cpu/cpu_backend.h"
#include "model/tiny_model.h"

namespace fathom::test {
namespace {

constexpr int64_t kSequences = 64;
constexpr int64_t kPagesOfASequence = 7;

// Larger, so that vectors are full and tails are left.
ModelConfig Larger(ModelConfig config) {
  config.hidden_size = 40;
  config.kv_lora_rank = 24;
  if (config.head_dim > 0) config.head_dim = 22;
  config.moe_intermediate_size = 20;
  config.vocab_size = 97;
  config.max_position_embeddings = 1024;
  config.initializer_range = 0.2;
  return config;
}

// Prompts of different lengths; the first is longer than a chunk of keys, so that chunks are
// merged.
std::vector<std::vector<int32_t>> Prompts() {
  std::vector<std::vector<int32_t>> prompts;
  RandomStream random(3);
  for (int64_t s = 0; s < kSequences; ++s) {
    const int64_t length = s == 0   ? 300
                           : s == 1 ? 257
                                    : 1 + static_cast<int64_t>(random.NextBelow(70));
    std::vector<int32_t> prompt;
    for (int64_t i = 0; i < length; ++i)
      prompt.push_back(static_cast<int32_t>(random.NextBelow(97)));
    prompts.push_back(std::move(prompt));
  }
  return prompts;
}

// Logits of all prompts' tokens, [sequence][token * vocabulary], computed `together` sequences at a
// time through a cache, each step taking up to `chunk` tokens of every sequence (0: all of them,
// without a cache).
std::vector<std::vector<float>> Logits(TestRun& run, const TinyModel& tiny, size_t together,
                                       int64_t chunk) {
  const auto prompts = Prompts();
  Context& context = run.context();
  std::vector<std::vector<float>> logits(prompts.size());
  KvCache cache(tiny.model.config(), tiny.model.precision(), CacheFormat::kAct,
                kSequences * kPagesOfASequence, run.backend().allocator());
  for (size_t first = 0; first < prompts.size(); first += together) {
    const size_t end = std::min(prompts.size(), first + together);
    std::vector<int64_t> done(prompts.size());
    // Pages in no order.
    std::vector<std::vector<int32_t>> pages(prompts.size());
    for (size_t s = first; s < end; ++s) {
      for (size_t i = 0; i < kPagesOfASequence; ++i) {
        pages[s].push_back(static_cast<int32_t>((i * kSequences + s) * 5 % (kSequences * 7)));
      }
    }
    while (true) {
      std::vector<int32_t> tokens;
      std::vector<BatchSequence> sequences;
      std::vector<size_t> members;
      for (size_t s = first; s < end; ++s) {
        const int64_t left = static_cast<int64_t>(prompts[s].size()) - done[s];
        const int64_t count = chunk == 0 ? left : std::min(left, chunk);
        if (count == 0) continue;
        sequences.push_back({static_cast<int64_t>(tokens.size()), count, done[s], pages[s]});
        tokens.insert(tokens.end(), prompts[s].begin() + done[s],
                      prompts[s].begin() + done[s] + count);
        done[s] += count;
        members.push_back(s);
      }
      if (tokens.empty()) break;
      ArenaScope scope(*context.workspace);
      const Batch batch = MakeBatch(context, *context.workspace, tokens, sequences);
      const Pass pass = tiny.model.MakePass(context, batch, chunk == 0 ? nullptr : &cache,
                                            AttentionForm::kAbsorbed, *context.workspace);
      const Tensor x = tiny.model.Forward(context, pass, nullptr);
      const Tensor h = context.workspace->New(tiny.model.precision().act, x.shape());
      const Tensor out =
          context.workspace->New(DType::kF32, Shape({batch.size, tiny.model.config().vocab_size}));
      tiny.model.FinalNorm(context, x, h, {});
      tiny.model.head().Logits(context, h, out);
      for (size_t i = 0; i < members.size(); ++i) {
        const auto rows =
            out.Rows(sequences[i].begin, sequences[i].begin + sequences[i].count).span<float>();
        logits[members[i]].insert(logits[members[i]].end(), rows.begin(), rows.end());
      }
    }
  }
  return logits;
}

struct ContractCase {
  std::string name;
  ModelConfig config;
  CpuTarget target;
  Precision precision;
};

class Contract : public testing::TestWithParam<ContractCase> {
 protected:
  void SetUp() override {
    if (!HasCpuTarget(GetParam().target)) GTEST_SKIP() << "this machine lacks the instruction set";
  }
  ModelConfig Config() const { return Larger(GetParam().config); }
  std::unique_ptr<Backend> NewBackend() const { return CreateCpuBackend(GetParam().target); }
};

TEST_P(Contract, LogitsDoNotDependOnBatchChunkCacheOrThreads) {
  TestRun run(NewBackend(), 1);
  TinyModel tiny(run, Config(), GetParam().precision);
  // Alone, in one go, nothing cached, one thread.
  const auto expected = Logits(run, tiny, 1, 0);
  for (const size_t together : {size_t{2}, size_t{7}, size_t{64}}) {
    EXPECT_EQ(Logits(run, tiny, together, 0), expected) << together << " sequences in a batch";
  }
  for (const int64_t chunk : {int64_t{1}, int64_t{3}, int64_t{64}, int64_t{300}}) {
    EXPECT_EQ(Logits(run, tiny, 64, chunk), expected)
        << "chunks of " << chunk << " through the cache";
  }
  for (const int threads : {2, 4}) {
    TestRun other(NewBackend(), threads);
    TinyModel same(other, Config(), GetParam().precision);
    EXPECT_EQ(Logits(other, same, 64, 7), expected) << threads << " threads";
  }
}

TEST_P(Contract, GradientsDoNotDependOnThreadsOrRecomputation) {
  const auto gradients = [&](int threads, bool recompute, AttentionForm form) {
    TestRun run(NewBackend(), threads);
    TinyModel tiny(run, Config(), GetParam().precision);
    const LossInput input = RandomLossInput(Config(), {300, 5, 64, 1, 130}, 9);
    SavedActivations saved(run.backend().allocator());
    saved.recompute = recompute;
    LanguageModelLoss(run.context(), tiny.model, input,
                      {.form = form,
                       .balance_alpha = 0.01,
                       .target_weight = {0.002, 0.001},
                       .balance_weight = 0.2},
                      &saved);
    std::vector<std::vector<double>> values;
    for (const auto& parameter : tiny.store.all()) {
      if (!parameter->grad.empty()) values.push_back(LoadAll(parameter->grad));
    }
    return values;
  };
  for (const AttentionForm form : {AttentionForm::kExpanded, AttentionForm::kAbsorbed}) {
    const auto expected = gradients(1, false, form);
    EXPECT_EQ(gradients(2, false, form), expected);
    EXPECT_EQ(gradients(4, true, form), expected);
  }
}

// What a rollout saw and what a trainer sees: one definition of a log-probability.
TEST_P(Contract, TrainersLogProbsAreThoseOfInference) {
  TestRun run(NewBackend(), 2);
  TinyModel tiny(run, Config(), GetParam().precision);
  const LossInput input = RandomLossInput(Config(), {300, 5, 64}, 11);
  SavedActivations saved(run.backend().allocator());
  const std::vector<double> scored =
      TokenLosses(run.context(), tiny.model, input, AttentionForm::kAbsorbed);
  double sum = 0;
  for (const double loss : scored) sum += loss;
  const LossOutput trained =
      LanguageModelLoss(run.context(), tiny.model, input,
                        {.form = AttentionForm::kAbsorbed, .target_weight = {1, 0}}, &saved);
  EXPECT_EQ(trained.nll[0], sum);
}

std::vector<ContractCase> Cases() {
  std::vector<ContractCase> cases;
  for (const auto& [family, config] : {std::pair{"deepseek_v3", TinyConfig()},
                                       {"deepseek_v2", TinyV2()},
                                       {"qwen2", TinyQwen2()}}) {
    for (const auto& [target_name, target] :
         {std::pair{"avx2", CpuTarget::kAvx2}, {"avx512", CpuTarget::kAvx512}}) {
      for (const auto& [type, precision] : {std::pair{"f32", Precision::F32()},
                                            {"bf16", Precision::BF16()},
                                            {"fp8", Precision::FP8(DType::kE4M3)}}) {
        cases.push_back(
            {fmt::format("{}_{}_{}", family, target_name, type), config, target, precision});
      }
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Cpu, Contract, testing::ValuesIn(Cases()),
                         [](const auto& contract) { return contract.param.name; });

}  // namespace
}  // namespace fathom::test
