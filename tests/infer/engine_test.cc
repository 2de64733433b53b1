// The engine on tiny random models, on the reference and on the CPU, in f32, bf16 and with an FP8
// cache: a request gets the same bits whatever shares its batches, however its prompt is cut,
// wherever its pages lie and whatever was cached, and its log-probs are those of scoring the whole
// sequence in one pass.

#include "infer/engine.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <fstream>
#include <map>

#include "backend/cpu/cpu_backend.h"
#include "backend/reference/reference_backend.h"
#include "base/temporary_directory.h"
#include "infer/answer.h"
#include "infer/forward.h"
#include "infer/scorer.h"
#include "infer/transformer_executor.h"
#include "model/tiny_model.h"

namespace fathom::test {
namespace {

// Seven requests of all kinds: greedy and sampled, short and across pages of the cache.
std::vector<GenerationRequest> Requests(const ModelConfig& config) {
  std::vector<GenerationRequest> requests;
  const int64_t lengths[] = {1, 70, 5, 64, 3, 5, 33};
  for (uint64_t i = 0; i < 7; ++i) {
    GenerationRequest request;
    request.prompt = RandomPrompt(config, lengths[i], 100 + i);
    request.sampling.temperature = std::array{1.0, 0.0, 0.7, 1.0, 1.5, 0.7, 1.0}[i];
    request.sampling.top_p = i == 3 ? 0.8 : 1;
    request.sampling.top_k = i == 4 ? 5 : 0;
    request.sampling.seed = 7 + i / 2;
    request.choice = i % 2;
    request.max_tokens = 6 + static_cast<int64_t>(i);
    requests.push_back(request);
  }
  return requests;
}

struct Machine {
  const char* name;
  bool cpu;
  bool bf16;
  int threads;
  CacheFormat format = CacheFormat::kAct;
};

class EngineTest : public testing::TestWithParam<Machine> {
 protected:
  EngineTest()
      : run_(GetParam().cpu ? CreateCpuBackend() : CreateReferenceBackend(), GetParam().threads),
        config_(TinyConfig()),
        precision_(GetParam().bf16 ? Precision::BF16() : Precision::F32()),
        tiny_(run_, config_, precision_) {}

  TransformerExecutor NewExecutor(int64_t pages) {
    return TransformerExecutor(run_.context(), tiny_.model, pages, GetParam().format);
  }

  // Runs the requests to their ends, all at once.
  std::vector<Answer> Generate(Engine& engine, const std::vector<GenerationRequest>& requests) {
    std::map<int64_t, size_t> index;
    for (size_t i = 0; i < requests.size(); ++i) index[engine.AddRequest(requests[i])] = i;
    std::vector<Answer> answers(requests.size());
    while (!engine.idle()) {
      for (const EngineEvent& event : engine.Step()) {
        Answer& answer = answers[index.at(event.request)];
        EXPECT_EQ(event.position,
                  static_cast<int64_t>(requests[index.at(event.request)].prompt.size() +
                                       answer.tokens.size()));
        answer.Add(event);
        if (event.finish != FinishReason::kNone) usages_.push_back(event.usage);
      }
      engine.CheckInvariants();
    }
    return answers;
  }
  std::vector<Answer> Generate(const std::vector<GenerationRequest>& requests,
                               const EngineOptions& options, int64_t pages = 32) {
    TransformerExecutor executor = NewExecutor(pages);
    Engine engine(executor, options);
    return Generate(engine, requests);
  }
  // Each alone, the whole prompt in one piece.
  std::vector<Answer> Alone(const std::vector<GenerationRequest>& requests) {
    std::vector<Answer> answers;
    for (const GenerationRequest& request : requests)
      answers.push_back(Generate({request}, {.step_tokens = 1 << 20})[0]);
    return answers;
  }

  std::vector<float> Score(const std::vector<int32_t>& tokens) {
    return ScoreTokens(run_.context(), tiny_.model, tokens, {.format = GetParam().format},
                       [](int64_t) {})
        .logprobs;
  }

  TestRun run_;
  ModelConfig config_;
  Precision precision_;
  TinyModel tiny_;
  std::vector<RequestUsage> usages_;  // of all requests that ended, in that order
};

TEST_P(EngineTest, OutputDoesNotDependOnBatchOrChunks) {
  const auto requests = Requests(config_);
  const auto alone = Alone(requests);
  for (const int64_t chunk : {1, 3, 64}) {
    for (const size_t batch : {size_t{1}, size_t{2}, size_t{7}}) {
      for (size_t first = 0; first < requests.size(); first += batch) {
        const size_t end = std::min(requests.size(), first + batch);
        const std::vector<GenerationRequest> some(
            requests.begin() + static_cast<std::ptrdiff_t>(first),
            requests.begin() + static_cast<std::ptrdiff_t>(end));
        const auto answers = Generate(some, {.step_tokens = chunk});
        for (size_t i = first; i < end; ++i) {
          EXPECT_EQ(answers[i - first], alone[i])
              << "request " << i << " in a batch of " << batch << ", chunks of " << chunk;
        }
      }
    }
  }
}

TEST_P(EngineTest, AHiddenStateIsWhatTheHeadReads) {
  const auto embed = [&](Engine& engine, const std::vector<std::vector<int32_t>>& prompts) {
    std::map<int64_t, std::vector<float>> hidden;
    for (const auto& prompt : prompts) {
      engine.AddRequest({.prompt = prompt, .max_tokens = 0, .embeds = true});
    }
    while (!engine.idle()) {
      for (const EngineEvent& event : engine.Step()) {
        if (event.hidden.empty()) continue;
        EXPECT_EQ(event.finish, FinishReason::kLength);
        EXPECT_TRUE(hidden.emplace(event.request, event.hidden).second);
      }
      engine.CheckInvariants();
    }
    std::vector<std::vector<float>> list;
    for (auto& [id, values] : hidden) list.push_back(std::move(values));
    return list;
  };
  const std::vector<std::vector<int32_t>> prompts = {
      RandomPrompt(config_, 1, 1), RandomPrompt(config_, 70, 2), RandomPrompt(config_, 64, 3)};
  TransformerExecutor executor = NewExecutor(32);
  Engine together(executor, {.step_tokens = 5});
  const auto all = embed(together, prompts);
  ASSERT_EQ(all.size(), prompts.size());
  EXPECT_EQ(embed(together, prompts), all) << "out of the cache";
  for (size_t i = 0; i < prompts.size(); ++i) {
    TransformerExecutor own = NewExecutor(32);
    Engine alone(own, {.step_tokens = 1 << 20});
    EXPECT_EQ(embed(alone, {prompts[i]})[0], all[i]);
    // The row of a forward of its own.
    ArenaScope scope(*run_.context().workspace);
    KvCache cache(config_, precision_, GetParam().format, 2, run_.context().backend->allocator());
    const auto count = static_cast<int64_t>(prompts[i].size());
    const std::array<int32_t, 2> pages = {0, 1};
    const std::array<int32_t, 1> last = {static_cast<int32_t>(count - 1)};
    const Tensor h = ForwardRows(run_.context(), tiny_.model, cache, prompts[i],
                                 {{.begin = 0, .count = count, .pages = pages}}, last);
    const Tensor row = run_.context().workspace->New(DType::kF32, h.shape());
    run_.context().backend->Cast(run_.context(), h, row);
    EXPECT_EQ(Download(run_.context(), row), all[i]);
  }
  EXPECT_THROW(together.AddRequest({.prompt = prompts[0], .max_tokens = 1, .embeds = true}),
               UsageError);
}

TEST_P(EngineTest, OutputDoesNotDependOnWherePagesLie) {
  const auto requests = Requests(config_);
  const auto alone = Alone(requests);
  TransformerExecutor executor = NewExecutor(16);
  Engine engine(executor, {.step_tokens = 48});
  // Earlier requests end in another order than they came, and two are cancelled half-way.
  std::vector<GenerationRequest> earlier(requests.rbegin(), requests.rend());
  const int64_t cancelled = engine.AddRequest(requests[1]);
  const int64_t cancelled_later = engine.AddRequest(requests[6]);
  engine.Step();
  engine.Cancel(cancelled);
  for (int i = 0; i < 3; ++i) engine.Step();
  engine.Cancel(cancelled_later);
  engine.Cancel(cancelled_later);
  Generate(engine, earlier);
  EXPECT_EQ(engine.cache().available(), engine.cache().pages());
  EXPECT_EQ(Generate(engine, requests), alone);
}

TEST_P(EngineTest, RequestsThatDoNotFitWaitAndGetTheSame) {
  const auto requests = Requests(config_);
  // Two pages: the longest request alone; few at a time.
  const auto narrow = Generate(requests, {.step_tokens = 16, .max_running = 2}, 2);
  EXPECT_EQ(narrow, Alone(requests));
}

// ---- What was cached has no influence on the bits

TEST_P(EngineTest, ACachedPrefixGivesTheSame) {
  auto requests = Requests(config_);
  // Prompts that share 0, 1, 63, 64, 65 and 130 tokens with one that was there before, or are it.
  const std::vector<int32_t> first = RandomPrompt(config_, 140, 77);
  requests.push_back(requests[0]);
  requests.back().prompt = first;
  for (const int64_t shared : {1, 63, 64, 65, 128, 130, 140}) {
    GenerationRequest request = requests[0];
    request.prompt = RandomPrompt(config_, 141, 200);
    std::copy_n(first.begin(), shared, request.prompt.begin());
    requests.push_back(request);
  }
  const auto alone = Alone(requests);
  TransformerExecutor executor = NewExecutor(64);
  Engine engine(executor, {.step_tokens = 48});
  EXPECT_EQ(Generate(engine, requests), alone);
  usages_.clear();
  const int64_t computed = engine.statistics().computed_tokens;
  EXPECT_EQ(Generate(engine, requests), alone);
  // The second time only the last token of each prompt and the answers are computed.
  int64_t wanted = 0;
  for (const RequestUsage& usage : usages_) {
    EXPECT_EQ(usage.cached_tokens, usage.prompt_tokens - 1);
    wanted += usage.answer_tokens;
  }
  EXPECT_EQ(engine.statistics().computed_tokens - computed, wanted);
}

TEST_P(EngineTest, ChoicesOfAPromptShareItsComputation) {
  for (const int64_t length : {5, 64, 100, 128}) {
    std::vector<GenerationRequest> requests(8);
    for (uint64_t i = 0; i < requests.size(); ++i) {
      requests[i] = {.prompt = RandomPrompt(config_, length, 9), .choice = i, .max_tokens = 4};
    }
    const auto alone = Alone(requests);
    TransformerExecutor executor = NewExecutor(64);
    Engine engine(executor, {.step_tokens = 50});
    EXPECT_EQ(Generate(engine, requests), alone);
    // The prompt once, its last token for each choice, and three tokens of each answer.
    EXPECT_EQ(engine.statistics().computed_tokens, length + 7 + 8 * 3) << length << " tokens";
  }
}

TEST_P(EngineTest, SaltsDoNotShare) {
  GenerationRequest request = Requests(config_)[1];
  request.cache_salt = "one";
  TransformerExecutor executor = NewExecutor(64);
  Engine engine(executor);
  const auto first = Generate(engine, {request});
  request.cache_salt = "two";
  EXPECT_EQ(Generate(engine, {request}), first);
  EXPECT_EQ(usages_[1].cached_tokens, 0);
  EXPECT_EQ(Generate(engine, {request}), first);
  EXPECT_EQ(usages_[2].cached_tokens, 69);
}

TEST_P(EngineTest, PreemptionGivesTheSame) {
  std::vector<GenerationRequest> requests;
  for (uint64_t i = 0; i < 6; ++i) {
    requests.push_back({.prompt = RandomPrompt(config_, 50, 300 + i), .max_tokens = 100});
  }
  const auto alone = Alone(requests);
  // Each grows to three pages; the scheduler starts as many as fit at first.
  TransformerExecutor executor = NewExecutor(7);
  Engine engine(executor, {.step_tokens = 64});
  usages_.clear();
  EXPECT_EQ(Generate(engine, requests), alone);
  EXPECT_GT(engine.statistics().preemptions, 0);
  int64_t preemptions = 0, recomputed = 0;
  for (const RequestUsage& usage : usages_) {
    preemptions += usage.preemptions;
    recomputed += usage.recomputed_tokens;
  }
  EXPECT_EQ(preemptions, engine.statistics().preemptions);
  EXPECT_GT(recomputed, 0);
}

// 64 requests, some of which share their beginnings, with others that come and are given up around
// them, pieces of all sizes and hardly any memory.
TEST_P(EngineTest, AmongSixtyFourWithCancelsAndPreemptionsItIsTheSame) {
  RandomStream random(5);
  const auto below = [&](uint64_t bound) { return static_cast<int64_t>(random.NextBelow(bound)); };
  std::vector<GenerationRequest> requests;
  const std::vector<int32_t> start = RandomPrompt(config_, 90, 1);
  for (uint64_t i = 0; i < 64; ++i) {
    GenerationRequest request = Requests(config_)[i % 7];
    request.choice = i;
    if (i % 2 == 0) {
      request.prompt.insert(request.prompt.begin(), start.begin(), start.begin() + below(91));
    }
    request.priority = static_cast<int>(below(3));
    request.user = i % 3 == 0 ? "a" : "b";
    requests.push_back(request);
  }
  const auto alone = Alone(requests);
  for (const int64_t step_tokens : {7, 64, 500}) {
    TransformerExecutor executor = NewExecutor(9);
    Engine engine(executor, {.step_tokens = step_tokens, .max_running = 20});
    std::vector<int64_t> ids, others;
    for (const GenerationRequest& request : requests) {
      ids.push_back(engine.AddRequest(request));
      others.push_back(engine.AddRequest(requests[static_cast<size_t>(below(64))]));
    }
    std::map<int64_t, Answer> answers;
    while (!engine.idle()) {
      if (!others.empty() && below(3) == 0) {
        engine.Cancel(others.back());
        others.pop_back();
      }
      for (const EngineEvent& event : engine.Step()) {
        answers[event.request].Add(event);
      }
      engine.CheckInvariants();
    }
    for (size_t i = 0; i < requests.size(); ++i) {
      EXPECT_EQ(answers.at(ids[i]), alone[i]) << "request " << i << ", steps of " << step_tokens;
    }
  }
}

// ---- The disk tier

TEST_P(EngineTest, APrefixFromFilesGivesTheSame) {
  const TemporaryDirectory directory;
  GenerationRequest request{.prompt = RandomPrompt(config_, 150, 4), .max_tokens = 60};
  const auto alone = Alone({request});
  const auto run = [&] {
    TransformerExecutor executor = NewExecutor(8);
    PrefixStore store(directory.path(), 1 << 30, executor.page_bytes());
    Engine engine(executor, {.step_tokens = 40, .store = &store, .model = "tiny"});
    usages_.clear();
    EXPECT_EQ(Generate(engine, {request}), alone);
    store.Flush();
    return store.statistics();
  };
  // Three whole pages: 150 + 59 rows.
  EXPECT_EQ(run().saved, 3);
  EXPECT_EQ(usages_[0].disk_tokens, 0);
  const auto files = [&] {
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory.path())) {
      if (entry.is_regular_file()) paths.push_back(entry.path());
    }
    std::sort(paths.begin(), paths.end());
    return paths;
  };
  ASSERT_EQ(files().size(), 3U);
  // A process later.
  const PrefixStore::Statistics later = run();
  EXPECT_EQ(usages_[0].disk_tokens, 128);
  EXPECT_EQ(usages_[0].cached_tokens, 128);
  EXPECT_EQ(later.saved, 0);
  // Whatever is damaged, wherever, is dropped and computed again.
  int64_t damaged = 0;
  for (const auto& path : files()) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(0, std::ios::end);
    file.seekp(static_cast<std::streamoff>(file.tellg()) / 2);
    file.put('\x5a');
    file.put('\xa5');
    file.close();
    const PrefixStore::Statistics after = run();
    damaged += after.damaged;
    EXPECT_EQ(after.saved, after.damaged);
  }
  EXPECT_GE(damaged, 2);  // the third page is the answer's, which nobody asks for
  std::filesystem::resize_file(files()[0], 100);
  std::filesystem::resize_file(files()[1], 0);
  std::filesystem::resize_file(files()[2], 0);
  EXPECT_GE(run().damaged, 1);
  run();
  EXPECT_EQ(usages_[0].disk_tokens, 128);
}

TEST_P(EngineTest, LogProbsAreThoseOfOnePassOverTheWholeSequence) {
  const auto requests = Requests(config_);
  const auto answers = Generate(requests, {.step_tokens = 7});
  for (size_t i = 0; i < requests.size(); ++i) {
    LossInput input;
    std::vector<int32_t> tokens = requests[i].prompt;
    tokens.insert(tokens.end(), answers[i].tokens.begin(), answers[i].tokens.end());
    input.sequences = {{.begin = 0, .count = static_cast<int64_t>(tokens.size()) - 1}};
    input.inputs = {{tokens.begin(), tokens.end() - 1}};
    input.targets = {{tokens.begin() + 1, tokens.end()}};
    const std::vector<double> losses =
        TokenLosses(run_.context(), tiny_.model, input, AttentionForm::kAbsorbed);
    const auto scores =
        ScoreTokens(run_.context(), tiny_.model, tokens,
                    {.chunk_tokens = 5, .format = GetParam().format}, [](int64_t) {})
            .logprobs;
    ASSERT_EQ(losses.size(), scores.size());
    for (size_t t = 0; t < losses.size(); ++t) {
      if (GetParam().format == CacheFormat::kAct) {
        EXPECT_EQ(std::bit_cast<uint32_t>(scores[t]),
                  std::bit_cast<uint32_t>(static_cast<float>(-losses[t])));
      }
    }
    for (size_t t = 0; t < answers[i].tokens.size(); ++t) {
      EXPECT_EQ(answers[i].logprobs[t],
                std::bit_cast<uint32_t>(scores[requests[i].prompt.size() - 1 + t]))
          << "request " << i << ", token " << t;
    }
  }
}

TEST_P(EngineTest, GreedyTokensAreTheMostProbableOnes) {
  GenerationRequest request;
  request.prompt = RandomPrompt(config_, 4, 1);
  request.sampling.temperature = 0;
  request.max_tokens = 1;
  const Answer answer = Generate({request}, {})[0];
  for (int32_t id = 0; id < config_.vocab_size; ++id) {
    std::vector<int32_t> tokens = request.prompt;
    tokens.push_back(id);
    const float logprob = Score(tokens).back();
    EXPECT_LE(logprob, std::bit_cast<float>(answer.logprobs[0]));
    if (id == answer.tokens[0]) {
      EXPECT_EQ(logprob, std::bit_cast<float>(answer.logprobs[0]));
    }
  }
  EXPECT_EQ(answer.sampled_logprobs, answer.logprobs);
}

TEST_P(EngineTest, SampledLogProbIsThatOfTheTemperature) {
  GenerationRequest request;
  request.prompt = RandomPrompt(config_, 4, 1);
  request.sampling.temperature = 0.5;
  request.max_tokens = 1;
  const Answer answer = Generate({request}, {})[0];
  // p^2 normalised, from the probabilities of all tokens.
  double sum = 0, own = 0;
  for (int32_t id = 0; id < config_.vocab_size; ++id) {
    std::vector<int32_t> tokens = request.prompt;
    tokens.push_back(id);
    const double logprob = Score(tokens).back();
    sum += std::exp(2 * logprob);
    if (id == answer.tokens[0]) own = 2 * logprob;
  }
  EXPECT_NEAR(std::bit_cast<float>(answer.sampled_logprobs[0]), own - std::log(sum), 1e-5);
}

TEST_P(EngineTest, AStopTokenEndsTheAnswer) {
  GenerationRequest request = Requests(config_)[6];
  const Answer whole = Generate({request}, {})[0];
  ASSERT_EQ(whole.finish, FinishReason::kLength);
  ASSERT_EQ(static_cast<int64_t>(whole.tokens.size()), request.max_tokens);
  request.stop_ids = {9999, whole.tokens[4]};
  const Answer stopped = Generate({request}, {})[0];
  EXPECT_EQ(stopped.finish, FinishReason::kStop);
  const auto first = std::find(whole.tokens.begin(), whole.tokens.end(), whole.tokens[4]);
  EXPECT_EQ(stopped.tokens, std::vector<int32_t>(whole.tokens.begin(), first + 1));
}

TEST_P(EngineTest, AWindowOfAScoreStartsAfresh) {
  const std::vector<int32_t> tokens = RandomPrompt(config_, 24, 3);
  const auto score = [&](std::vector<int32_t> text, int64_t window) {
    return ScoreTokens(run_.context(), tiny_.model, text,
                       {.chunk_tokens = 4, .window = window, .format = GetParam().format},
                       [](int64_t) {})
        .logprobs;
  };
  const auto windows = score(tokens, 10);
  // Inputs 0-9, 10-19 and 20-22 predict tokens 1-10, 11-20 and 21-23.
  auto expected = score({tokens.begin(), tokens.begin() + 11}, 100);
  for (const float x : score({tokens.begin() + 10, tokens.begin() + 21}, 100))
    expected.push_back(x);
  for (const float x : score({tokens.begin() + 20, tokens.end()}, 100)) expected.push_back(x);
  EXPECT_EQ(windows, expected);
}

TEST_P(EngineTest, TheMostLikelyTokensAddUpAndHoldTheScoredOnes) {
  const std::vector<int32_t> tokens = RandomPrompt(config_, 9, 5);
  const auto score = [&](int64_t top) {
    return ScoreTokens(run_.context(), tiny_.model, tokens,
                       {.chunk_tokens = 4, .top = top, .format = GetParam().format},
                       [](int64_t) {});
  };
  const TokenScores all = score(config_.vocab_size), three = score(3);
  EXPECT_EQ(all.logprobs, score(0).logprobs);
  ASSERT_EQ(all.top.size(), tokens.size() - 1);
  for (size_t i = 0; i < all.top.size(); ++i) {
    ASSERT_EQ(static_cast<int64_t>(all.top[i].size()), config_.vocab_size);
    ASSERT_EQ(three.top[i].size(), 3U);
    double sum = 0;
    for (size_t k = 0; k < all.top[i].size(); ++k) {
      const RankedToken& token = all.top[i][k];
      sum += std::exp(static_cast<double>(token.logprob));
      EXPECT_LE(token.logprob, all.top[i][k > 0 ? k - 1 : 0].logprob);
      if (k < 3) {
        EXPECT_EQ(token.token, three.top[i][k].token);
      }
      if (token.token == tokens[i + 1]) {
        EXPECT_NEAR(token.logprob, all.logprobs[i], 1e-5);
      }
    }
    EXPECT_NEAR(sum, 1, 1e-5);
  }
}

TEST_P(EngineTest, ImpossibleRequestsAreRefused) {
  TransformerExecutor executor = NewExecutor(2);
  Engine engine(executor, {.max_waiting = 2});
  const auto message = [&](GenerationRequest request) {
    try {
      engine.AddRequest(std::move(request));
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  const auto contains = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  };
  EXPECT_TRUE(contains(message({.prompt = {}}), "empty"));
  EXPECT_TRUE(contains(message({.prompt = {1}, .max_tokens = 0}), "max_tokens"));
  EXPECT_TRUE(contains(message({.prompt = {1, 29}, .max_tokens = 1}), "id 29"));
  EXPECT_TRUE(contains(message({.prompt = {-1}, .max_tokens = 1}), "id -1"));
  // 256 positions in the model, two pages of 64 in the cache.
  EXPECT_TRUE(contains(message({.prompt = {1}, .max_tokens = 256}), "context of 256"));
  EXPECT_TRUE(contains(message({.prompt = {1}, .max_tokens = INT64_MAX}), "context of 256"));
  const std::string pages = message({.prompt = {1}, .max_tokens = 129});
  EXPECT_TRUE(contains(pages, "3 cache pages of 64 tokens, and there are 2")) << pages;
  EXPECT_EQ(message({.prompt = {1}, .max_tokens = 128}), "accepted");
  GenerationRequest wrong{.prompt = {1}, .max_tokens = 1};
  wrong.sampling.top_p = 2;
  EXPECT_TRUE(contains(message(wrong), "top_p"));
  EXPECT_TRUE(contains(message({.prompt = {1, 2}, .max_tokens = 0}), "max_tokens"));
  EXPECT_TRUE(contains(message({.prompt = {1, 2}, .score_from = 2}), "score_from"));
  EXPECT_EQ(message({.prompt = {1}, .max_tokens = 1}), "accepted");
  EXPECT_THROW(engine.AddRequest({.prompt = {1}, .max_tokens = 1}), QueueFullError);
}

INSTANTIATE_TEST_SUITE_P(
    Machines, EngineTest,
    testing::Values(Machine{"reference_f32", false, false, 1},
                    Machine{"reference_bf16", false, true, 1}, Machine{"cpu_f32", true, false, 3},
                    Machine{"cpu_bf16", true, true, 3},
                    Machine{"reference_fp8_cache", false, true, 1, CacheFormat::kFp8Latent},
                    Machine{"cpu_f32_fp8_cache", true, false, 3, CacheFormat::kFp8Latent},
                    Machine{"cpu_fp8_cache", true, true, 3, CacheFormat::kFp8Latent}),
    [](const auto& machine) { return machine.param.name; });

}  // namespace
}  // namespace fathom::test
