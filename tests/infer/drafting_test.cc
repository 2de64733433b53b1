// Speculative decoding: guesses are those of the model's MTP module, and with them a request gets
// the bits that it gets without.

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <map>
#include <numeric>

#include "backend/cpu/cpu_backend.h"
#include "backend/reference/reference_backend.h"
#include "infer/answer.h"
#include "infer/engine.h"
#include "infer/stub_executor.h"
#include "infer/transformer_executor.h"
#include "infer/turn_constraint.h"
#include "model/tiny_model.h"

namespace fathom::test {
namespace {

struct Machine {
  const char* name;
  bool cpu, bf16;
  CacheFormat format = CacheFormat::kAct;
};

class DraftingTest : public testing::TestWithParam<Machine> {
 protected:
  DraftingTest()
      : run_(GetParam().cpu ? CreateCpuBackend() : CreateReferenceBackend(), 2),
        config_(TinyConfig()),
        precision_(GetParam().bf16 ? Precision::BF16() : Precision::F32()),
        tiny_(run_, config_, precision_) {}

  // What the MTP module of the training forward, without a cache, makes most likely after the
  // tokens, so many times: from the second on, fed with its own hidden state and guess.
  std::vector<int32_t> Guesses(const std::vector<int32_t>& tokens, int64_t count) {
    Context& context = run_.context();
    Arena& workspace = *context.workspace;
    ArenaScope scope(workspace);
    const MtpModule& module = *tiny_.model.mtp()[0];
    const auto rows = static_cast<int64_t>(tokens.size()) - 1;  // with a token after them
    const std::vector<int32_t> before(tokens.begin(), tokens.end() - 1);
    const Batch batch = MakeBatch(context, workspace, before, {{.count = rows}});
    const Pass pass =
        tiny_.model.MakePass(context, batch, nullptr, AttentionForm::kAbsorbed, workspace);
    const Tensor h = workspace.New(precision_.act, Shape({rows + count, config_.hidden_size}));
    tiny_.model.FinalNorm(context, tiny_.model.Forward(context, pass, nullptr), h.Rows(0, rows),
                          Tensor());
    std::vector<int32_t> after(tokens.begin() + 1, tokens.end()), guesses;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t length = rows + i;
      const Batch shifted = MakeBatch(context, workspace, after, {{.count = length}});
      const Pass of_module =
          tiny_.model.MakePass(context, shifted, nullptr, AttentionForm::kAbsorbed, workspace);
      const Tensor x = module.Forward(context, of_module, h.Rows(0, length), shifted.tokens,
                                      workspace, nullptr, nullptr);
      const Tensor last = h.Rows(length, length + 1);
      run_->RmsNorm(context, x.Rows(length - 1, length), module.output_norm().value,
                    config_.rms_norm_eps, last, Tensor());
      const Tensor logits = workspace.New(DType::kF32, Shape({1, config_.vocab_size}));
      tiny_.model.head().Logits(context, last, logits);
      const std::vector<double> values = LoadAll(logits);
      guesses.push_back(static_cast<int32_t>(std::ranges::max_element(values) - values.begin()));
      after.push_back(guesses.back());
    }
    return guesses;
  }

  TestRun run_;
  ModelConfig config_;
  Precision precision_;
  TinyModel tiny_;
};

// Across chunks of a prompt, a page's border, guesses that hold and that do not.
TEST_P(DraftingTest, GuessesAreThoseOfTheMtpModule) {
  if (GetParam().format != CacheFormat::kAct) {
    GTEST_SKIP() << "attention reads rounded rows; the training forward has no such cache";
  }
  constexpr int64_t kDrafts = 3;
  TransformerExecutor executor(run_.context(), tiny_.model, 4, GetParam().format);
  const std::vector<int32_t> pages = {2, 0, 3};
  Sampler greedy({.temperature = 0}, 0);
  DraftState state;
  std::vector<int32_t> tokens = RandomPrompt(config_, 58, 5);
  int64_t done = 0, held = 0, failed = 0;
  std::vector<int32_t> guesses;
  const auto compute = [&](int64_t count, bool draws) {
    std::vector<int32_t> piece_tokens(tokens.begin() + done, tokens.begin() + done + count);
    piece_tokens.insert(piece_tokens.end(), guesses.begin(), guesses.end());
    const Piece piece{.tokens = piece_tokens,
                      .guesses = std::ssize(guesses),
                      .first_position = done,
                      .pages = pages,
                      .sampler = draws ? &greedy : nullptr,
                      .draft = &state,
                      .drafts = kDrafts};
    PieceResult result = executor.Compute({&piece, 1})[0];
    done += count;
    return result;
  };
  EXPECT_TRUE(compute(40, false).drawn.empty());
  EXPECT_TRUE(compute(1, false).guesses.empty());
  for (int step = 0; step < 30; ++step) {
    // Every third step is fed with guesses that are right, the others with the module's own.
    if (step % 3 == 2) {
      const PieceResult next = compute(std::ssize(tokens) - done, true);
      --done;  // once more, with what it draws as the guess
      guesses = {next.drawn[0].token};
    }
    const PieceResult result = compute(std::ssize(tokens) - done, true);
    held += std::ssize(result.drawn) - 1;
    failed += std::ssize(guesses) - (std::ssize(result.drawn) - 1);
    for (const DrawnToken& drawn : result.drawn) tokens.push_back(drawn.token);
    done += std::ssize(result.drawn) - 1;
    ASSERT_EQ(result.guesses, Guesses(tokens, kDrafts)) << "step " << step;
    guesses = result.guesses;
  }
  EXPECT_GT(held, 5);
  EXPECT_GT(failed, 5);
  EXPECT_GT(std::ssize(tokens), 70);  // beyond the first page
}

TEST_P(DraftingTest, ARequestGetsTheSameBits) {
  std::vector<GenerationRequest> requests;
  const std::vector<int32_t> start = RandomPrompt(config_, 100, 3);
  for (uint64_t i = 0; i < 10; ++i) {
    GenerationRequest request;
    request.prompt = RandomPrompt(config_, std::array{1, 3, 5, 64, 70, 33}[i % 6], 100 + i);
    // Some go on from a common prefix, which comes out of the cache.
    if (i % 4 == 3) request.prompt.insert(request.prompt.begin(), start.begin(), start.end());
    request.sampling.temperature = std::array{0.0, 1.0, 0.7, 1.3}[i % 4];
    request.sampling.top_p = i % 5 == 0 ? 0.8 : 1;
    request.sampling.seed = i;
    // The first three begin small and outgrow a small cache together.
    request.max_tokens = i < 3 ? 130 : 1 + 3 * static_cast<int64_t>(i);
    if (i % 7 == 6) request.stop_ids = {4, 9};
    // What has been written matters for what is drawn.
    if (i % 3 == 1) {
      request.sampling.frequency_penalty = 0.7;
      request.sampling.repetition_penalty = 1.2;
    }
    requests.push_back(request);
  }
  const auto generate = [&](const EngineOptions& options, int64_t pages, Engine::Statistics* seen) {
    TransformerExecutor executor(run_.context(), tiny_.model, pages, GetParam().format);
    Engine engine(executor, options);
    std::vector<Answer> answers(requests.size());
    for (size_t i = 0; i < requests.size(); ++i) {
      GenerationRequest request = requests[i];
      if (i % 4 == 2) request.constraint = std::make_shared<TurnConstraint>(config_.vocab_size);
      engine.AddRequest(std::move(request));
    }
    while (!engine.idle()) {
      for (const EngineEvent& event : engine.Step()) {
        answers[static_cast<size_t>(event.request)].Add(event);
      }
      engine.CheckInvariants();
    }
    if (seen != nullptr) *seen = engine.statistics();
    return answers;
  };
  const auto expected = generate({.draft = DraftMode::kOff}, 64, nullptr);
  int64_t preemptions = 0;
  for (const int64_t drafts : {1, 3}) {
    for (const int64_t step_tokens : {7, 500}) {
      for (const int64_t pages : {5, 64}) {
        SCOPED_TRACE(testing::Message() << drafts << " drafts, " << step_tokens
                                        << " tokens a step, " << pages << " pages");
        Engine::Statistics seen;
        const auto answers = generate({.step_tokens = step_tokens,
                                       .max_running = 8,
                                       .draft = DraftMode::kOn,
                                       .draft_tokens = drafts},
                                      pages, &seen);
        for (size_t i = 0; i < requests.size(); ++i) EXPECT_EQ(answers[i], expected[i]) << i;
        preemptions += seen.preemptions;
        ASSERT_EQ(std::ssize(seen.guessed), drafts);
        EXPECT_GT(seen.accepted[0], 0);
        EXPECT_LT(seen.accepted[0], seen.guessed[0]);
      }
    }
  }
  EXPECT_GT(preemptions, 0);
}

INSTANTIATE_TEST_SUITE_P(
    Machines, DraftingTest,
    testing::Values(Machine{"reference", false, false}, Machine{"cpu_f32", true, false},
                    Machine{"cpu_bf16", true, true},
                    Machine{"cpu_fp8_cache", true, true, CacheFormat::kFp8Latent}),
    [](const auto& machine) { return machine.param.name; });

// A stub's guesses are right two times of three, each by itself; an answer of n tokens takes fewer
// steps by the guesses that held.
TEST(Drafting, GuessesThatHoldSaveSteps) {
  StubExecutor executor(64, 16, 1000);
  Engine engine(executor, {.draft = DraftMode::kOn, .draft_tokens = 2});
  constexpr int64_t kTokens = 600;
  engine.AddRequest({.prompt = {1, 2, 3}, .max_tokens = kTokens});
  RequestUsage usage;
  int64_t steps = 0;
  while (!engine.idle()) {
    for (const EngineEvent& event : engine.Step()) usage = event.usage;
    ++steps;
  }
  const Engine::Statistics& statistics = engine.statistics();
  EXPECT_EQ(steps, kTokens - usage.accepted_tokens);
  EXPECT_EQ(usage.accepted_tokens, statistics.accepted[0] + statistics.accepted[1]);
  EXPECT_EQ(usage.guessed_tokens, statistics.guessed[0] + statistics.guessed[1]);
  const auto first = static_cast<double>(statistics.accepted[0]);
  EXPECT_NEAR(first / static_cast<double>(statistics.guessed[0]), 2.0 / 3, 0.15);
  EXPECT_NEAR(static_cast<double>(statistics.accepted[1]) / first, 2.0 / 3, 0.15);
}

// Nothing is guessed past the last token that is wanted: there would be nobody to tell.
TEST(Drafting, NothingIsComputedForTokensThatNobodyWants) {
  StubExecutor executor(64, 16, 1000);
  for (const int64_t tokens : {1, 2, 3, 4, 9}) {
    Engine engine(executor, {.draft = DraftMode::kOn, .draft_tokens = 3});
    engine.AddRequest({.prompt = {5}, .max_tokens = tokens});
    int64_t got = 0;
    while (!engine.idle()) got += std::ssize(engine.Step());
    EXPECT_EQ(got, tokens);
    // The last token's row is never computed; of guesses, at most those that did not hold are.
    const Engine::Statistics& seen = engine.statistics();
    EXPECT_LE(seen.computed_tokens,
              tokens + std::accumulate(seen.guessed.begin(), seen.guessed.end(), int64_t{0}) -
                  std::accumulate(seen.accepted.begin(), seen.accepted.end(), int64_t{0}));
  }
}

}  // namespace
}  // namespace fathom::test
