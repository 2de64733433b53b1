// The engine on tiny random models, on the reference and on the CPU, in f32 and bf16: a request
// gets the same bits whatever shares its batches, however its prompt is cut and wherever its pages
// lie, and its log-probs are those of scoring the whole sequence in one pass.

#include "infer/engine.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <map>

#include "backend/cpu/cpu_backend.h"
#include "backend/reference/reference_backend.h"
#include "infer/scorer.h"
#include "model/tiny_model.h"

namespace fathom::test {
namespace {

// What a request got, as bits.
struct Answer {
  std::vector<int32_t> tokens;
  std::vector<uint32_t> logprobs, sampled_logprobs;
  FinishReason finish = FinishReason::kNone;
  bool operator==(const Answer&) const = default;
};

std::vector<int32_t> RandomPrompt(const ModelConfig& config, int64_t length, uint64_t seed) {
  RandomStream random(seed);
  std::vector<int32_t> prompt;
  for (int64_t i = 0; i < length; ++i) {
    prompt.push_back(
        static_cast<int32_t>(random.NextBelow(static_cast<uint64_t>(config.vocab_size))));
  }
  return prompt;
}

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
};

class EngineTest : public testing::TestWithParam<Machine> {
 protected:
  EngineTest()
      : run_(GetParam().cpu ? CreateCpuBackend() : CreateReferenceBackend(), GetParam().threads),
        config_(TinyConfig()),
        precision_(GetParam().bf16 ? Precision::BF16() : Precision::F32()),
        tiny_(run_, config_, precision_) {}

  std::unique_ptr<KvCache> NewCache(int64_t tokens) {
    return std::make_unique<KvCache>(config_, precision_, tokens,
                                     run_.context().backend->allocator());
  }

  // Runs the requests to their ends, all at once.
  std::vector<Answer> Generate(Engine& engine, const std::vector<GenerationRequest>& requests) {
    std::map<int64_t, size_t> index;
    for (size_t i = 0; i < requests.size(); ++i) index[engine.AddRequest(requests[i])] = i;
    std::vector<Answer> answers(requests.size());
    while (!engine.idle()) {
      for (const EngineEvent& event : engine.Step()) {
        Answer& answer = answers[index.at(event.request)];
        EXPECT_EQ(answer.finish, FinishReason::kNone) << "a token after the end";
        EXPECT_EQ(event.position,
                  static_cast<int64_t>(requests[index.at(event.request)].prompt.size() +
                                       answer.tokens.size()));
        answer.tokens.push_back(event.token);
        answer.logprobs.push_back(std::bit_cast<uint32_t>(event.logprob));
        answer.sampled_logprobs.push_back(std::bit_cast<uint32_t>(event.sampled_logprob));
        answer.finish = event.finish;
      }
    }
    return answers;
  }
  std::vector<Answer> Generate(const std::vector<GenerationRequest>& requests,
                               const EngineOptions& options, int64_t cache_tokens = 2048) {
    const auto cache = NewCache(cache_tokens);
    Engine engine(run_.context(), tiny_.model, *cache, options);
    return Generate(engine, requests);
  }
  // Each alone, the whole prompt in one piece.
  std::vector<Answer> Alone(const std::vector<GenerationRequest>& requests) {
    std::vector<Answer> answers;
    for (const GenerationRequest& request : requests)
      answers.push_back(Generate({request}, {.chunk_tokens = 1 << 20})[0]);
    return answers;
  }

  TestRun run_;
  ModelConfig config_;
  Precision precision_;
  TinyModel tiny_;
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
        const auto answers = Generate(some, {.chunk_tokens = chunk});
        for (size_t i = first; i < end; ++i) {
          EXPECT_EQ(answers[i - first], alone[i])
              << "request " << i << " in a batch of " << batch << ", chunks of " << chunk;
        }
      }
    }
  }
}

TEST_P(EngineTest, OutputDoesNotDependOnWherePagesLie) {
  const auto requests = Requests(config_);
  const auto alone = Alone(requests);
  const auto cache = NewCache(1024);
  Engine engine(run_.context(), tiny_.model, *cache, {.chunk_tokens = 48});
  const int64_t pages = cache->free_pages();
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
  EXPECT_EQ(cache->free_pages(), pages);
  EXPECT_EQ(Generate(engine, requests), alone);
}

TEST_P(EngineTest, RequestsThatDoNotFitWaitAndGetTheSame) {
  const auto requests = Requests(config_);
  // Two pages: the longest request alone; few at a time.
  const auto narrow = Generate(requests, {.chunk_tokens = 16, .max_running = 2}, 128);
  EXPECT_EQ(narrow, Alone(requests));
}

TEST_P(EngineTest, LogProbsAreThoseOfOnePassOverTheWholeSequence) {
  const auto requests = Requests(config_);
  const auto answers = Generate(requests, {.chunk_tokens = 7});
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
        ScoreTokens(run_.context(), tiny_.model, tokens, {.chunk_tokens = 5}, [](int64_t) {
        }).logprobs;
    ASSERT_EQ(losses.size(), scores.size());
    for (size_t t = 0; t < losses.size(); ++t) {
      EXPECT_EQ(std::bit_cast<uint32_t>(scores[t]),
                std::bit_cast<uint32_t>(static_cast<float>(-losses[t])));
    }
    for (size_t t = 0; t < answers[i].tokens.size(); ++t) {
      const double loss = losses[requests[i].prompt.size() - 1 + t];
      EXPECT_EQ(answers[i].logprobs[t], std::bit_cast<uint32_t>(static_cast<float>(-loss)))
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
    const float logprob =
        ScoreTokens(run_.context(), tiny_.model, tokens, {}, [](int64_t) {}).logprobs.back();
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
    const double logprob =
        ScoreTokens(run_.context(), tiny_.model, tokens, {}, [](int64_t) {}).logprobs.back();
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
    return ScoreTokens(run_.context(), tiny_.model, text, {.chunk_tokens = 4, .window = window},
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
    return ScoreTokens(run_.context(), tiny_.model, tokens, {.chunk_tokens = 4, .top = top},
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
  const auto cache = NewCache(128);
  Engine engine(run_.context(), tiny_.model, *cache, {});
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
}

INSTANTIATE_TEST_SUITE_P(Machines, EngineTest,
                         testing::Values(Machine{"reference_f32", false, false, 1},
                                         Machine{"reference_bf16", false, true, 1},
                                         Machine{"cpu_f32", true, false, 3},
                                         Machine{"cpu_bf16", true, true, 3}),
                         [](const auto& machine) { return machine.param.name; });

}  // namespace
}  // namespace fathom::test
